package crash

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

// disk is a file system of one folder that knows what has been synced. It is in
// memory, in two versions: what a process sees, and what would be left if the
// power went now. fsync of a file moves its pages and its size from the first to
// the second; fsync of the folder moves the names.
//
// What was not synced is in doubt: when the power goes, each page of it is lost,
// kept, or torn by sectors, as chance has it, and so are new sizes and names.
type disk struct {
	mu     sync.Mutex
	rand   *rand.Rand
	dir    string
	beside string // where folders are: on a disk that keeps all it is given
	server *fuse.Server
	cuts   int // so far
	names  map[string]*file
	synced map[string]*file // names
	used   int64            // bytes in pages
	quota  int64            // of used; 0: no limit
	lies   string           // fsync of files with this suffix does nothing
	broken bool             // fsync fails
	torn   bool             // what was not synced is in doubt; else it is lost
	syncs  int
	lost   int // pages lost or torn so far
	full   int // writes refused so far
	id     uint64
}

// file is a file's content, now and as it was synced. A page that is in both is
// never written to.
type file struct {
	id           uint64
	mode         uint32
	size         int64
	pages        map[int64]*page
	syncedSize   int64
	syncedPages  map[int64]*page
	dirty        map[int64]bool
	modification time.Time
}

type page [pageSize]byte

// mountDisk mounts an empty disk for as long as the test runs, or skips the test
// where that cannot be.
func mountDisk(t *testing.T) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounting a file system needs root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("skipped: no /dev/fuse here")
	}
	d := &disk{rand: newRand(t, 3), dir: t.TempDir(), beside: t.TempDir(), torn: true, names: map[string]*file{}, synced: map[string]*file{}}
	if err := d.mount(); err != nil {
		t.Skipf("skipped: cannot mount a FUSE file system: %v", err)
	}
	t.Cleanup(func() {
		if d.server == nil {
			return
		}
		if err := d.unmount(); err != nil {
			t.Errorf("unmount %s: %v", d.dir, err)
		}
	})
	return d
}

func (d *disk) mount() error {
	timeout := time.Duration(0)
	server, err := fs.Mount(d.dir, &folder{disk: d}, &fs.Options{
		MountOptions: fuse.MountOptions{
			FsName: "crashdisk", Name: "crashdisk", DirectMountStrict: true, DisableXAttrs: true,
			MaxWrite: 1 << 17, IgnoreSecurityLabels: true,
		},
		EntryTimeout: &timeout, NegativeTimeout: &timeout, AttrTimeout: &timeout,
	})
	d.server = server
	return err
}

func (d *disk) unmount() error {
	err := d.server.Unmount()
	if err == nil {
		d.server = nil
	}
	return err
}

// cut is what the power's failure does: the names and the content that were
// synced stay, the rest is in doubt. No process may have the disk open.
func (d *disk) cut() error {
	if err := d.unmount(); err != nil {
		return err
	}
	d.mu.Lock()
	d.cuts++
	d.cutNames()
	d.used = 0
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		d.cutFile(d.names[name])
		d.used += int64(len(d.names[name].pages)) * pageSize
	}
	d.mu.Unlock()
	return d.mount()
}

// cutNames goes back to the names that were synced, or to some of the newer
// ones.
func (d *disk) cutNames() {
	after := maps.Clone(d.synced)
	if d.torn {
		for _, name := range slices.Sorted(maps.Keys(d.names)) {
			if d.names[name] != d.synced[name] && d.rand.IntN(2) == 0 {
				after[name] = d.names[name]
			}
		}
		for _, name := range slices.Sorted(maps.Keys(d.synced)) {
			if d.names[name] == nil && d.rand.IntN(2) == 0 {
				delete(after, name)
			}
		}
	}
	d.names, d.synced = after, maps.Clone(after)
}

func (d *disk) cutFile(f *file) {
	pages := maps.Clone(f.syncedPages)
	for _, n := range slices.Sorted(maps.Keys(f.dirty)) {
		if p := d.survivor(f.syncedPages[n], f.pages[n]); p != nil {
			pages[n] = p
		}
	}
	if f.size == f.syncedSize || !d.torn || d.rand.IntN(2) == 0 {
		f.size = f.syncedSize
	}
	for n := range pages {
		if n*pageSize >= f.size {
			delete(pages, n)
		}
	}
	f.pages, f.dirty = pages, map[int64]bool{}
	f.sync()
}

// survivor is what becomes of a page that was not synced.
func (d *disk) survivor(synced, written *page) *page {
	choice := 0
	if d.torn {
		choice = d.rand.IntN(3)
	}
	if choice == 1 {
		return written
	}
	d.lost++
	if choice == 0 || written == nil {
		return synced
	}
	torn := page{}
	if synced != nil {
		torn = *synced
	}
	for at := 0; at < pageSize; at += sectorSize {
		if d.rand.IntN(2) == 0 {
			copy(torn[at:at+sectorSize], written[at:])
		}
	}
	return &torn
}

func newFile(id uint64, mode uint32) *file {
	return &file{id: id, mode: mode, pages: map[int64]*page{}, syncedPages: map[int64]*page{}, dirty: map[int64]bool{}, modification: time.Now()}
}

// sync makes what is there now what the power's failure leaves.
func (f *file) sync() {
	for n := range f.dirty {
		if p := f.pages[n]; p != nil {
			f.syncedPages[n] = p
		} else {
			delete(f.syncedPages, n)
		}
	}
	for n := range f.syncedPages {
		if f.pages[n] == nil {
			delete(f.syncedPages, n)
		}
	}
	f.dirty = map[int64]bool{}
	f.syncedSize = f.size
}

// writable is page n for writing to.
func (f *file) writable(n int64) (p *page, grown int64) {
	p = f.pages[n]
	switch {
	case p == nil:
		p, grown = &page{}, pageSize
	case p == f.syncedPages[n]:
		copied := *p
		p = &copied
	}
	f.pages[n] = p
	f.dirty[n] = true
	return p, grown
}

func (f *file) truncate(size int64) (freed int64) {
	for n := range f.pages {
		if n*pageSize >= size {
			delete(f.pages, n)
			f.dirty[n] = true
			freed += pageSize
		}
	}
	if rest := size % pageSize; rest != 0 && f.pages[size/pageSize] != nil {
		p, _ := f.writable(size / pageSize)
		clear(p[rest:])
	}
	f.size = size
	return freed
}

// room reports whether a file may grow by n bytes.
func (d *disk) room(n int64) bool {
	if d.quota == 0 || d.used+n <= d.quota {
		return true
	}
	d.full++
	return false
}

// fill leaves no room on the disk until free is called.
func (d *disk) fill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quota = max(d.used, 1)
}

func (d *disk) free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quota = 0
}

// lie makes fsync of files with this suffix do nothing.
func (d *disk) lie(suffix string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = suffix
}

// refuseSyncs makes fsync of files fail.
func (d *disk) refuseSyncs(yes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = yes
}

// folder is the disk's only folder.
type folder struct {
	fs.Inode
	disk *disk
}

// node is a file as the kernel knows it.
type node struct {
	fs.Inode
	disk *disk
	name string
	file *file
}

// The kernel finds these by their methods.
var (
	_ fs.NodeLookuper  = (*folder)(nil)
	_ fs.NodeCreater   = (*folder)(nil)
	_ fs.NodeMkdirer   = (*folder)(nil)
	_ fs.NodeUnlinker  = (*folder)(nil)
	_ fs.NodeRenamer   = (*folder)(nil)
	_ fs.NodeReaddirer = (*folder)(nil)
	_ fs.NodeFsyncer   = (*folder)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
)

func (d *folder) child(ctx context.Context, name string, f *file, out *fuse.EntryOut) *fs.Inode {
	f.attributes(&out.Attr)
	return d.NewInode(ctx, &node{disk: d.disk, name: name, file: f}, fs.StableAttr{Mode: syscall.S_IFREG, Ino: f.id})
}

func (d *folder) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	f := d.disk.names[name]
	if f == nil {
		return d.folder(ctx, name, out)
	}
	return d.child(ctx, name, f, out), 0
}

// folder finds a folder, which is beside.
func (d *folder) folder(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	path := filepath.Join(d.disk.beside, name)
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return nil, fs.ToErrno(err)
	}
	out.Attr.FromStat(&st)
	if known := d.GetChild(name); known != nil {
		return known, 0
	}
	root, err := fs.NewLoopbackRoot(path)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return d.NewInode(ctx, root, fs.StableAttr{Mode: syscall.S_IFDIR}), 0
}

func (d *folder) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	if d.disk.names[name] != nil {
		return nil, syscall.EEXIST
	}
	if err := os.Mkdir(filepath.Join(d.disk.beside, name), os.FileMode(mode)); err != nil {
		return nil, fs.ToErrno(err)
	}
	return d.folder(ctx, name, out)
}

func (d *folder) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	d.disk.id++
	f := newFile(d.disk.id+1, mode)
	d.disk.names[name] = f
	return d.child(ctx, name, f, out), nil, 0, 0
}

func (d *folder) Unlink(_ context.Context, name string) syscall.Errno {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	f := d.disk.names[name]
	if f == nil {
		return syscall.ENOENT
	}
	d.disk.used -= int64(len(f.pages)) * pageSize
	delete(d.disk.names, name)
	return 0
}

func (d *folder) Rename(_ context.Context, name string, _ fs.InodeEmbedder, to string, _ uint32) syscall.Errno {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	if old := d.disk.names[to]; old != nil {
		d.disk.used -= int64(len(old.pages)) * pageSize
	}
	d.disk.names[to] = d.disk.names[name]
	delete(d.disk.names, name)
	return 0
}

func (d *folder) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(d.disk.names)) {
		list = append(list, fuse.DirEntry{Name: name, Mode: syscall.S_IFREG, Ino: d.disk.names[name].id})
	}
	return fs.NewListDirStream(list), 0
}

func (d *folder) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	d.disk.synced = maps.Clone(d.disk.names)
	return 0
}

func (f *file) attributes(out *fuse.Attr) {
	out.Mode = syscall.S_IFREG | f.mode&0o7777
	out.Ino, out.Size, out.Nlink = f.id, uint64(f.size), 1
	out.Blocks, out.Blksize = uint64(len(f.pages))*(pageSize/512), pageSize
	out.SetTimes(&f.modification, &f.modification, &f.modification)
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.file.attributes(&out.Attr)
	return 0
}

func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		n.disk.used -= n.file.truncate(int64(size))
	}
	if mode, ok := in.GetMode(); ok {
		n.file.mode = mode
	}
	n.file.attributes(&out.Attr)
	return 0
}

func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	dest = dest[:max(0, min(int64(len(dest)), n.file.size-off))]
	for done := 0; done < len(dest); {
		at := off + int64(done)
		part := dest[done:min(len(dest), done+int(pageSize-at%pageSize))]
		if p := n.file.pages[at/pageSize]; p != nil {
			copy(part, p[at%pageSize:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return fuse.ReadResultData(dest), 0
}

func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	for done := 0; done < len(data); {
		at := off + int64(done)
		part := data[done:min(len(data), done+int(pageSize-at%pageSize))]
		if n.file.pages[at/pageSize] == nil && !n.memory() && !n.disk.room(pageSize) {
			if done > 0 {
				return uint32(done), 0
			}
			return 0, syscall.ENOSPC
		}
		p, grown := n.file.writable(at / pageSize)
		n.disk.used += grown
		copy(p[at%pageSize:], part)
		done += len(part)
		n.file.size = max(n.file.size, at+int64(len(part)))
	}
	n.file.modification = time.Now()
	return uint32(len(data)), 0
}

// memory reports whether the file is memory that SQLite's connections share. The
// kernel writes it back when it likes, and it is built anew after a crash.
func (n *node) memory() bool { return strings.HasSuffix(n.name, "-shm") }

// Fsync takes a moment, as it does on a real disk: that is when most cuts hit.
func (n *node) Fsync(_ context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	before := n.disk.cuts
	delay := time.Duration(n.disk.rand.IntN(4000)) * time.Microsecond
	n.disk.mu.Unlock()
	pause(context.Background(), delay)
	n.disk.mu.Lock()
	if n.disk.cuts != before || n.disk.broken {
		return syscall.EIO
	}
	if n.disk.lies == "" || !strings.HasSuffix(n.name, n.disk.lies) {
		n.file.sync()
	}
	n.disk.syncs++
	return 0
}
