package intake

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// errSeries is in the error of a line that would be one more series of an agent that has begun too many.
var errSeries = errors.New("too many series")

// series bounds how many series an agent may begin on one UTC day: each costs InfluxDB memory for as long as any line of it is kept, so one agent
// with a million tag values would cost all others. What an agent has named today is remembered as hashes, at most the bound of each. It is safe for
// concurrent use.
type series struct {
	most int
	seed maphash.Seed
	free map[string]bool // measurements of ours with a tag that may have any value; the others' series are few, whoever sends them

	mu     sync.Mutex
	day    int64
	agents map[telemetry.Address][]uint64 // rising
}

func newSeries(most int) *series {
	s := &series{most: most, seed: maphash.MakeSeed(), free: map[string]bool{}, agents: map[telemetry.Address][]uint64{}}
	for _, m := range telemetry.Schema() {
		for _, t := range m.Tags {
			s.free[m.Name] = s.free[m.Name] || t.Values == nil
		}
	}
	return s
}

// check takes the line's series into account, and with fields each of their names, which InfluxDB remembers too.
func (s *series) check(a telemetry.Address, l *telemetry.Parsed, fields bool, now time.Time) error {
	if !fields && !s.free[l.Measurement] {
		return nil
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.WriteString(l.Measurement)
	for _, t := range l.Tags {
		h.WriteByte(0) // neither keys nor values hold it
		h.WriteString(t.Key)
		h.WriteByte(0)
		h.WriteString(t.Value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if day := now.Unix() / (24 * 3600); day != s.day {
		s.day = day
		clear(s.agents)
	}
	ok := s.add(a, h.Sum64())
	for n := 0; fields && ok && n < len(l.Fields); n++ {
		h.Reset()
		h.WriteString(l.Measurement)
		h.WriteString("\x00\x00")
		h.WriteString(l.Fields[n].Key)
		ok = s.add(a, h.Sum64())
	}
	if !ok {
		return fmt.Errorf("%s: %w: this agent has begun %d today, as many as intake.max_series allows; a tag that takes ever new values is the usual cause", l.Measurement, errSeries, s.most)
	}
	return nil
}

// add remembers a hash; false when there is no room for a new one. The mutex is held.
func (s *series) add(a telemetry.Address, sum uint64) bool {
	known := s.agents[a]
	n, ok := slices.BinarySearch(known, sum)
	switch {
	case ok:
		return true
	case len(known) >= s.most:
		return false
	}
	s.agents[a] = slices.Insert(known, n, sum)
	return true
}
