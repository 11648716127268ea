package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// ErrExists is in the error of AddSite and AddAgent when the file already has the entry.
var ErrExists = errors.New("is already there")

// lookEvery is how often the files are looked at for a change, at most: a revoked agent is to be gone within a second.
const lookEvery = 250 * time.Millisecond

// Registry holds the programme's sites and the agents that may sign in. It is safe for concurrent use, and
// takes in a changed file by itself.
type Registry struct {
	mu     sync.Mutex
	sites  source[siteTable]
	agents source[agentTable]
	looked time.Time
	now    func() time.Time // measures lookEvery
	log    *slog.Logger
}

// OpenRegistry reads both files. One that is missing is empty, and is taken in when it appears. The error
// joins the faults of both, each with FILE:LINE.
func OpenRegistry(sitesFile, agentsFile string) (*Registry, error) {
	r := &Registry{
		sites:  source[siteTable]{file: sitesFile, parse: parseSites},
		agents: source[agentTable]{file: agentsFile, parse: parseAgents},
		now:    time.Now,
		log:    slog.New(slog.DiscardHandler),
	}
	r.looked = r.now()
	_, err1 := r.sites.look()
	_, err2 := r.agents.look()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return r, nil
}

// LogTo names the logger that hears of files that were taken in or refused while in use.
func (r *Registry) LogTo(log *slog.Logger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = log
}

// Sites lists the sites, sorted by id.
func (r *Registry) Sites() []Site {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	return slices.Clone(r.sites.value)
}

// Site returns one site; false when the programme does not know it. For one that is not there the file is looked at once more, whenever that was last:
// another process may have added it just now.
func (r *Registry) Site(id string) (Site, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 2 {
		r.refresh()
		i, ok := r.sites.value.find(id)
		if ok {
			return r.sites.value[i], true
		}
		r.looked = time.Time{}
	}
	return Site{}, false
}

// Fault returns why a changed file was not taken in, or nil. The entries read before stay in force.
func (r *Registry) Fault() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	return errors.Join(r.sites.fault, r.agents.fault)
}

// AddSite writes a new site behind what the sites file holds.
func (r *Registry) AddSite(s Site) error {
	if err := s.check(nil, "", zoneTable{}); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sites.add(0o644, func(t siteTable) (string, error) {
		for _, old := range t {
			if old.ID == s.ID {
				return "", fmt.Errorf("site %q %w; edit %s to change it", s.ID, ErrExists, r.sites.file)
			}
		}
		return sitesTOML(s)
	})
}

// refresh takes in files that have changed. A broken one is told once, and what was read before stays.
func (r *Registry) refresh() {
	now := r.now()
	if now.Sub(r.looked) < lookEvery {
		return
	}
	r.looked = now
	r.sites.refresh(r.log)
	r.agents.refresh(r.log)
}
