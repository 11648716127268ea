package spool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// asidePrefix is put before the name of a file that a newer program wrote. It is kept for that program, and counted in the bound.
const asidePrefix = "newer-"

// setAside gives a file of a newer version a name that this program does not look at.
func (s *Spool) setAside(name string, newer newerError) {
	to := asidePrefix + name
	if err := s.dir.rename(name, to); err != nil {
		s.tell(Newer, fmt.Sprintf("%s is %v and cannot be set aside: %v; upgrade nabz-agent to have it sent", name, newer, err))
		return
	}
	size, _ := s.look(to)
	s.lessRoom(size)
	s.tell(Newer, fmt.Sprintf("%s is %v; it is kept as %s; upgrade nabz-agent to have it sent", name, newer, to))
}

// lessRoom counts a file that is aside in the bound: what stays aside leaves less room for what is new, though never less than half.
func (s *Spool) lessRoom(size int64) {
	s.aside += size
	bound := cmp.Or(s.o.MaxBytes, DefaultMaxBytes)
	s.maxBytes = max(bound-s.aside, bound/2, minMaxBytes)
}

// readopt takes back what an older program set aside and this one can read. It returns the names that are there afterwards.
func (s *Spool) readopt(names []string) []string {
	for i, name := range names {
		old, found := strings.CutPrefix(name, asidePrefix)
		_, _, segment := parseSegName(old)
		if !found || !segment && old != stateName {
			continue
		}
		size, readable := s.look(name)
		switch {
		case !readable || segment && slices.Contains(names, old):
			s.lessRoom(size)
		case !segment: // its numbers were left behind by a jump, its mark is of another time
			if err := s.dir.remove(name); err != nil {
				s.log.Warn("spool state of a newer version is no longer needed and cannot be removed", "file", name, "err", err)
			}
		default:
			if err := s.dir.rename(name, old); err != nil {
				s.log.Warn("spool segment of a newer version cannot be taken back", "file", name, "err", err)
				continue
			}
			names[i] = old
		}
	}
	return names
}

// look returns the size of a file that was set aside, and whether this program can read it.
func (s *Spool) look(name string) (size int64, readable bool) {
	f, err := s.dir.open(name, false)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	if size, err = f.size(); err != nil {
		return 0, false
	}
	b := make([]byte, min(size, stateLimit))
	if n, _ := f.ReadAt(b, 0); n < len(b) {
		return size, false
	}
	if name == asidePrefix+stateName {
		_, ok, _ := parseState(b)
		return size, ok
	}
	_, ok, _ := parseSegHead(b)
	return size, ok
}
