package worker

// queue is a first-in, first-out list.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) pop() (item T, ok bool) {
	if q.len() == 0 {
		return item, false
	}
	var zero T
	item, q.items[q.head] = q.items[q.head], zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head > 1024 && q.head*2 > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return item, true
}

// idleList keeps the live executions that wait, longest first.
type idleList struct {
	first, last *idleEntry
	n           int
}

type idleEntry struct {
	x          *execution
	prev, next *idleEntry
}

func (l *idleList) add(x *execution) {
	e := &idleEntry{x: x, prev: l.last}
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last, x.idleAt = e, e
	l.n++
}

func (l *idleList) remove(x *execution) {
	e := x.idleAt
	if e == nil {
		return
	}
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	x.idleAt = nil
	l.n--
}
