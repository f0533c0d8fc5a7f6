package egress

import "net/netip"

// block is a range of addresses that are not public.
type block struct {
	prefix   netip.Prefix
	why      string
	metadata bool // not even a host that is listed by its name may be there
}

func blocks(list ...string) (all []block) {
	for i := 0; i < len(list); i += 2 {
		all = append(all, block{netip.MustParsePrefix(list[i]), list[i+1], false})
	}
	return all
}

// The registries of special addresses are IANA's; the metadata services outside
// of them are Azure's and, within a private network, AWS's for IPv6.
var (
	special4 = append(blocks(
		"0.0.0.0/8", "an address of this network",
		"10.0.0.0/8", "a private address",
		"100.64.0.0/10", "an address shared by a provider's customers",
		"127.0.0.0/8", "a loopback address",
		"172.16.0.0/12", "a private address",
		"192.0.0.0/24", "an address reserved for protocols",
		"192.0.2.0/24", "an address for documentation",
		"192.88.99.0/24", "an address of a 6to4 relay",
		"192.168.0.0/16", "a private address",
		"198.18.0.0/15", "an address for benchmarks",
		"198.51.100.0/24", "an address for documentation",
		"203.0.113.0/24", "an address for documentation",
		"240.0.0.0/4", "a reserved address"),
		block{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address, where metadata services are", true},
		block{netip.MustParsePrefix("168.63.129.16/32"), "the address of a metadata service", true},
		block{netip.MustParsePrefix("100.100.100.200/32"), "the address of a metadata service", true},
		block{netip.MustParsePrefix("192.0.0.192/32"), "the address of a metadata service", true},
		block{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address", true},
		block{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address", true},
	)
	special6 = append(blocks(
		"::/128", "the address of nothing",
		"::1/128", "a loopback address",
		"64:ff9b:1::/48", "an address of a translation to IPv4",
		"100::/64", "an address that leads nowhere",
		"2001::/23", "an address reserved for protocols",
		"2001:db8::/32", "an address for documentation",
		"3fff::/20", "an address for documentation",
		"5f00::/16", "a segment's address",
		"fc00::/7", "a private address",
		"fec0::/10", "a site-local address"),
		block{netip.MustParsePrefix("fd00:ec2::/32"), "the address of a metadata service", true},
		block{netip.MustParsePrefix("fd20:ce::254/128"), "the address of a metadata service", true},
		block{netip.MustParsePrefix("fe80::/10"), "a link-local address, where metadata services are", true},
		block{netip.MustParsePrefix("ff00::/8"), "a multicast address", true},
	)
	global6 = netip.MustParsePrefix("2000::/3")
)

// special says why an address is not public, "" if it is, and whether it is of
// those that are only called where they are listed themselves.
func special(addr netip.Addr) (why string, metadata bool) {
	if addr.Zone() != "" {
		return "an address within one link", true
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return find(special4, addr)
	}
	if why, metadata := find(special6, addr); why != "" {
		return why, metadata
	}
	if inner, ok := embedded(addr); ok {
		if why, metadata := find(special4, inner); why != "" {
			return why + " within an IPv6 address", metadata
		}
		return "", false
	}
	if !global6.Contains(addr) {
		return "an address outside of what is in public use", false
	}
	return "", false
}

// find looks at the ranges from the last on: those for metadata come last.
func find(list []block, addr netip.Addr) (why string, metadata bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].prefix.Contains(addr) {
			return list[i].why, list[i].metadata
		}
	}
	return "", false
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// embedded is the IPv4 address that an IPv6 one leads to. Other ways to embed one
// are outside of what is in public use.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	b := addr.As16()
	switch {
	case nat64.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP
		return netip.AddrFrom4([4]byte(b[12:])), true
	}
	return netip.Addr{}, false
}
