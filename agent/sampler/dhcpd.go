package sampler

import (
	"bytes"
	"hash/maphash"
	"time"
)

// journal is ISC's file of leases, in which the last word on an address counts. It holds no address: a hash, with a seed
// that is drawn anew for each reading, is enough to find an earlier word again.
type journal struct {
	seed   maphash.Seed
	leases map[uint64]ending
	key    uint64
	now    ending // of the block that is being read
	inside bool
}

type ending struct {
	at     int64 // seconds; 0: never
	active bool
}

func newJournal() *journal { return &journal{seed: maphash.MakeSeed(), leases: map[uint64]ending{}} }

func (j *journal) line(line []byte) {
	word, rest := field(line)
	switch string(word) {
	case "lease":
		address, _ := field(rest)
		j.key, j.now, j.inside = maphash.Bytes(j.seed, address), ending{active: true}, true // old files tell no binding state
	case "}":
		if j.inside && (len(j.leases) < maxLeases || j.leases[j.key] != ending{}) {
			j.leases[j.key] = j.now
		}
		j.inside = false
	case "ends":
		j.now.at = endOf(rest)
	case "binding":
		_, rest = field(rest) // state
		state, _ := field(rest)
		j.now.active = string(bytes.TrimRight(state, ";")) == "active"
	}
}

// endOf reads "4 2025/11/20 12:13:14;" in UTC, "epoch 1763900000; # …" or "never;".
func endOf(text []byte) int64 {
	word, rest := field(text)
	if string(word) == "epoch" {
		word, _ = field(rest)
		n, _ := number(bytes.TrimRight(word, ";"))
		return n
	}
	t, err := time.Parse("2006/01/02 15:04:05", string(bytes.TrimRight(bytes.TrimSpace(rest), ";")))
	if err != nil {
		return 0
	}
	return t.Unix()
}

func (j *journal) count(now int64) (n int64) {
	for _, e := range j.leases {
		if e.active && (now == 0 || e.at == 0 || e.at > now) {
			n++
		}
	}
	return n
}
