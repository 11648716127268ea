package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	lazyWrite  = time.Minute // what only a restart would miss is written so rarely
	monthWrite = 10 * time.Minute
)

// state is the file.
type state struct {
	Version int                    `json:"version"`
	Active  []*record              `json:"active"`
	Ended   []*record              `json:"ended"`
	Tracks  map[string]*track      `json:"tracks"`
	Own     map[string]*ownTrouble `json:"own"`
	Outbox  []*item                `json:"outbox"`
	Notices []*Notice              `json:"notices,omitempty"`
	Tries   []Delivery             `json:"deliveries"`
	Lost    bool                   `json:"lost"`
}

// monthFile is beside the state: it is large, and what a kill costs of it is in the agents' next words.
func monthFile(file string) string { return strings.TrimSuffix(file, ".json") + "-data.json" }

// load reads what the engine before has written. A file that cannot be read is put aside and told: an engine that does not start wakes nobody.
func (e *Engine) load() error {
	if e.c.File == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(e.c.File), 0o750); err != nil {
		return fmt.Errorf("make the folder of the alerts: %w", err)
	}
	var s state
	if ok, err := e.read(e.c.File, &s); err != nil {
		return err
	} else if !ok {
		s = state{}
	}
	s.clean()
	for _, a := range s.Active {
		e.active[a.ID] = a
		if a.Key != (groupKey{}) {
			e.byKey[a.Key] = append(e.byKey[a.Key], a)
		}
	}
	for id, t := range s.Tracks {
		for _, x := range t.Troubles {
			if e.active[x.Alert] == nil { // else it would never be told again
				x.Alert = ""
			}
		}
		e.tracks[id] = t
	}
	for key, o := range s.Own {
		if e.active[o.Alert] == nil {
			o.Alert = ""
		}
		e.own[key] = o
	}
	e.ended, e.tries, e.notices, e.lost.on = s.Ended, s.Tries, s.Notices, s.Lost
	for _, i := range s.Outbox {
		known := e.find(i.Alert) != nil
		if i.What == Noticed {
			n := e.notice(i.Alert)
			known = n != nil && n.Check() == nil
		}
		if e.wake[i.Channel] != nil && known { // a channel that is configured no more is told nothing
			e.outbox = append(e.outbox, i)
		}
	}
	var months map[string]*wired
	if ok, err := e.read(monthFile(e.c.File), &months); err != nil {
		return err
	} else if !ok {
		months = nil
	}
	for name, w := range months {
		if site, agent, ok := strings.Cut(name, "/"); ok && w != nil {
			e.month[telemetry.Address{Site: site, Agent: agent}] = w
		}
	}
	return nil
}

// clean drops what an engine cannot have written: half an alert would end it.
func (s *state) clean() {
	no := func(a *record) bool {
		return a == nil || a.ID == "" || !slices.Contains(Rules(), a.Rule) || !a.Rule.Own() && len(a.Sites) == 0
	}
	s.Active, s.Ended = slices.DeleteFunc(s.Active, no), slices.DeleteFunc(s.Ended, no)
	for _, a := range slices.Concat(s.Active, s.Ended) {
		a.Severity = a.Rule.severity()
	}
	maps.DeleteFunc(s.Tracks, func(_ string, t *track) bool { return t == nil })
	for _, t := range s.Tracks {
		t.Troubles = slices.DeleteFunc(t.Troubles, func(x *trouble) bool { return x == nil })
	}
	maps.DeleteFunc(s.Own, func(_ string, o *ownTrouble) bool { return o == nil })
	s.Notices = slices.DeleteFunc(s.Notices, func(n *Notice) bool { return n == nil })
	s.Outbox = slices.DeleteFunc(s.Outbox, func(i *item) bool { return i == nil })
}

// read takes in a file; not ok where it was put aside, and then what is read is of no use.
func (e *Engine) read(file string, into any) (ok bool, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the state of the alerts: %w", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		aside := file + ".broken"
		e.c.Log.Error("the state of the alerts cannot be read and is put aside; what was told may be told once more", "file", file, "aside", aside, "error", err)
		if err := os.Rename(file, aside); err != nil {
			return false, fmt.Errorf("put the broken state of the alerts aside: %w", err)
		}
		return false, nil
	}
	return true, nil
}

// keep writes the state where it has to be, and wakes who has something to tell: nobody is told what is not written, as a restart would tell it again. Where
// it cannot be written people are told all the same.
func (e *Engine) keep(now time.Time, end bool) {
	urgent := e.now
	if e.now || e.lazy && (end || now.Sub(e.written) >= e.lazyEvery || now.Before(e.written)) {
		e.now, e.lazy, e.written = false, false, now
		e.write(e.c.File, e.state())
	}
	if e.monthNews && (end || now.Sub(e.monthWritten) >= monthWrite || now.Before(e.monthWritten)) {
		e.month.forget(now)
		months := make(map[string]*wired, len(e.month))
		for a, w := range e.month {
			months[a.String()] = w
		}
		e.monthNews, e.monthWritten = false, now
		if e.c.File != "" {
			e.write(monthFile(e.c.File), months)
		}
	}
	if urgent {
		e.tell()
		e.wakeAll()
	}
}

func (e *Engine) state() state {
	s := state{Version: 1, Active: make([]*record, 0, len(e.active)), Ended: e.ended, Tracks: e.tracks, Own: e.own, Outbox: e.outbox, Notices: e.notices, Tries: e.tries, Lost: e.lost.on}
	for _, a := range e.active {
		s.Active = append(s.Active, a)
	}
	return s
}

func (e *Engine) write(file string, what any) {
	if file == "" {
		return
	}
	b, err := json.Marshal(what)
	if err == nil {
		err = e.replace(file, b, 0o640)
	}
	switch {
	case err != nil && !e.broken:
		e.broken = true
		e.c.Log.Error("the state of the alerts cannot be written; a restart would tell again what was told. Free some space, or look at the rights of the folder", "file", file, "error", err)
	case err == nil && e.broken:
		e.broken = false
		e.c.Log.Info("the state of the alerts is written again", "file", file)
	}
	if err != nil {
		e.lazy = true // tried again
	}
}

// Read returns the alerts that go on as a collector with that state file has written them, for commands beside it.
func Read(file string) (active []Alert, recent []Alert, tries []Delivery, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	s.clean()
	e := &Engine{active: map[string]*record{}, ended: s.Ended, tries: s.Tries}
	for _, a := range s.Active {
		e.active[a.ID] = a
	}
	return e.Active(), e.Recent(keepEnded), e.Deliveries(keepTries), nil
}

// find is an alert, whether it goes on or is over.
func (e *Engine) find(id string) *record {
	if a := e.active[id]; a != nil {
		return a
	}
	for i := len(e.ended) - 1; i >= 0; i-- {
		if e.ended[i].ID == id {
			return e.ended[i]
		}
	}
	return nil
}
