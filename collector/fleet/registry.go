package fleet

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// ErrExists is in the error of AddSite and AddAgent when the file already has the entry.
var ErrExists = errors.New("is already there")

// lookEvery is how often the files are looked at for a change, at most.
const lookEvery = time.Second

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

// Authenticate tells whether the secret is the agent's. An agent that does not exist takes the same time as
// one with a wrong secret.
func (r *Registry) Authenticate(a telemetry.Address, secret string) bool {
	r.mu.Lock()
	r.refresh()
	want, known := r.agents.value.byAddress[a]
	r.mu.Unlock()
	got := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known
}

// Agents lists the agents, sorted by site and agent.
func (r *Registry) Agents() []telemetry.Address {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	return slices.Clone(r.agents.value.list)
}

// Sites lists the sites, sorted by id.
func (r *Registry) Sites() []Site {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	return slices.Clone(r.sites.value)
}

// Site returns one site; false when the programme does not know it.
func (r *Registry) Site(id string) (Site, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	i, ok := slices.BinarySearchFunc(r.sites.value, id, func(s Site, id string) int { return strings.Compare(s.ID, id) })
	if !ok {
		return Site{}, false
	}
	return r.sites.value[i], true
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
	if err := s.check(nil, ""); err != nil {
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
		return s.toml()
	})
}

// AddAgent makes a new agent and returns its secret, 256 random bits as 52 letters and digits. Only the hash is
// kept, so the secret cannot be had a second time.
func (r *Registry) AddAgent(a telemetry.Address) (secret string, err error) {
	if err := a.Check(); err != nil {
		return "", err
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	secret = strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.agents.add(0o600, func(t agentTable) (string, error) {
		if _, ok := t.byAddress[a]; ok {
			return "", fmt.Errorf("agent %s %w; take its entry out of %s first to give it a new secret", a, ErrExists, r.agents.file)
		}
		return fmt.Sprintf("[[agent]]\naddress = %q\nsecret_sha256 = \"%x\"\n", a, sha256.Sum256([]byte(secret))), nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
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
