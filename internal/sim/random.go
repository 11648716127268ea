package sim

import "hash/fnv"

// random is SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same numbers on every machine.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit is a number from 0 up to but not including 1.
func (r *random) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

func (r *random) between(lo, hi float64) float64 { return lo + (hi-lo)*r.unit() }

func (r *random) chance(p float64) bool { return r.unit() < p }

// bell is roughly normal with mean 0 and deviation 1, and never beyond 3.5.
func (r *random) bell() float64 {
	return (r.unit() + r.unit() + r.unit() + r.unit() - 2) * 1.732
}

// randomOf gives the same stream for the same parts, and an unrelated one for any other.
func randomOf(parts ...uint64) random {
	h := random(0x6e61627a) // "nabz"
	for _, p := range parts {
		h = random(h.next() ^ p)
	}
	return random(h.next())
}

// key makes a number of a name.
func key(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // a hash never fails to write
	return h.Sum64()
}
