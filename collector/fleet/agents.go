package fleet

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// What Enrol may answer. All but the first tell a person with a token what became of it.
var (
	ErrNoToken      = errors.New("no such enrolment token")
	ErrTokenExpired = errors.New("the enrolment token has expired")
	ErrTokenUsed    = errors.New("the enrolment token was used already")
	ErrRevoked      = errors.New("the agent was revoked")
)

// Agent is what is known of one agent's credentials.
type Agent struct {
	Address  telemetry.Address
	Enrolled bool      // it has a secret, and may sign in unless it is revoked
	Until    time.Time // a token waits to be used until then; zero: none does
	Revoked  time.Time // zero: it is not
}

// Authenticate tells whether the secret is the agent's. An agent that does not exist takes the same time as
// one with a wrong secret.
func (r *Registry) Authenticate(a telemetry.Address, secret string) bool {
	r.mu.Lock()
	r.refresh()
	var want hash
	i, known := r.agents.value.find(a)
	if known {
		e := r.agents.value[i]
		want, known = e.secret, e.revoked.IsZero() && e.secret != hash{}
	}
	r.mu.Unlock()
	got := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known
}

// AgentsRevision grows each time that the agents' credentials were read anew.
func (r *Registry) AgentsRevision() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	return r.agents.revision
}

// Agents lists the agents that are not revoked, sorted by site and agent; whether they are enrolled yet or not.
func (r *Registry) Agents() []telemetry.Address {
	var all []telemetry.Address
	for _, a := range r.Credentials() {
		if a.Revoked.IsZero() {
			all = append(all, a.Address)
		}
	}
	return all
}

// Credentials lists all agents, sorted by site and agent.
func (r *Registry) Credentials() []Agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	all := make([]Agent, 0, len(r.agents.value))
	for _, e := range r.agents.value {
		a := Agent{Address: e.address, Enrolled: e.secret != hash{}, Revoked: e.revoked}
		if e.word != (hash{}) && e.used == (hash{}) {
			a.Until = e.until
		}
		all = append(all, a)
	}
	return all
}

// AddAgent makes a new agent and returns its secret, 256 random bits as 52 letters and digits. Only the hash is
// kept, so the secret cannot be had a second time.
func (r *Registry) AddAgent(a telemetry.Address) (secret string, err error) {
	secrets, err := r.AddAgents([]telemetry.Address{a})
	if err != nil {
		return "", err
	}
	return secrets[0], nil
}

// AddAgents makes new agents, all or none, and returns the secret of each. The file is written once for all of them.
func (r *Registry) AddAgents(all []telemetry.Address) (secrets []string, err error) {
	err = r.change(func(t *agentTable) error {
		var faults []error
		secrets = nil
		for _, a := range all {
			if err := a.Check(); err != nil {
				faults = append(faults, err)
				continue
			}
			i, known := t.find(a)
			if known && (*t)[i].secret != (hash{}) && (*t)[i].revoked.IsZero() {
				faults = append(faults, fmt.Errorf("agent %s %w, and has a secret; nabz-collector agent rotate %s gives it a new one", a, ErrExists, a))
				continue
			}
			if !known {
				*t = slices.Insert(*t, i, entry{})
			}
			secret := telemetry.NewSecret()
			(*t)[i] = entry{address: a, secret: sha256.Sum256([]byte(secret)), mosquitto: telemetry.MosquittoVerifier(secret)}
			secrets = append(secrets, secret)
		}
		return errors.Join(faults...)
	})
	return secrets, err
}

// Invite lets whoever knows the word of the enrolments become their agents until then, each once. Tokens of the same agents that were not used are void
// from now on. With anew an agent that has a secret keeps it until it enrols, one that was revoked may come back; without, an agent that has a
// secret is an error that is ErrExists. Either all are invited or none.
func (r *Registry) Invite(all []telemetry.Enrolment, until time.Time, anew bool) error {
	return r.change(func(t *agentTable) error {
		var faults []error
		for _, e := range all {
			i, known := t.find(e.Address)
			switch {
			case anew && !known:
				faults = append(faults, fmt.Errorf("agent %s is not there; nabz-collector agent add %s makes it known", e.Address, e.Address))
				continue
			case !known:
				*t = slices.Insert(*t, i, entry{address: e.Address})
			case !anew && (*t)[i].secret != (hash{}) && (*t)[i].revoked.IsZero():
				faults = append(faults, fmt.Errorf("agent %s %w, and enrolled; nabz-collector agent rotate %s lets it enrol anew", e.Address, ErrExists, e.Address))
				continue
			}
			w := &(*t)[i]
			if !w.revoked.IsZero() {
				w.secret, w.mosquitto, w.revoked = hash{}, "", time.Time{}
			}
			w.word, w.until, w.used = e.Hash(), until.UTC().Truncate(time.Second), hash{}
		}
		return errors.Join(faults...)
	})
}

// Enrol gives an agent the secret that has this hash, in exchange for the word of its token. The same call again does the same again, until
// the token expires: its answer may have been lost on the way. Mosquitto is the secret's verifier for such a broker, "" where the agent sends none. The error is ErrNoToken, ErrTokenExpired, ErrTokenUsed, ErrRevoked, or a fault of
// the disk.
func (r *Registry) Enrol(a telemetry.Address, word [16]byte, secret [sha256.Size]byte, mosquitto string, now time.Time) error {
	got := hash(sha256.Sum256(word[:]))
	check := func(e entry) error {
		switch {
		case e.word == (hash{}) || subtle.ConstantTimeCompare(got[:], e.word[:]) != 1:
			return ErrNoToken
		case !e.revoked.IsZero():
			return ErrRevoked
		case e.used != (hash{}) && subtle.ConstantTimeCompare(e.used[:], secret[:]) != 1:
			return ErrTokenUsed
		case now.After(e.until):
			return ErrTokenExpired
		}
		return nil
	}
	// A look before anything is locked and written: this is asked by strangers. The file is looked at whenever that was last, since a token may be used in
	// the very moment after another process has made it.
	r.mu.Lock()
	r.looked = time.Time{}
	r.refresh()
	var e entry
	if i, ok := r.agents.value.find(a); ok {
		e = r.agents.value[i]
	}
	r.mu.Unlock()
	if err := check(e); err != nil || e.used == secret && e.secret == secret && e.mosquitto == mosquitto {
		return err
	}
	return r.set(a, func(e *entry) error {
		err := check(*e)
		if err == nil {
			e.secret, e.used, e.mosquitto = secret, secret, mosquitto
		}
		return err
	})
}

// Revoke lets an agent sign in no longer, and voids its token. The broker ends its connection within a second.
func (r *Registry) Revoke(a telemetry.Address, now time.Time) error {
	return r.set(a, func(e *entry) error {
		if e.address != a {
			return fmt.Errorf("agent %s is not there; nabz-collector agent list prints those that are", a)
		}
		if !e.revoked.IsZero() {
			return fmt.Errorf("agent %s was revoked at %s already", a, e.revoked.Format("2006-01-02 15:04:05 MST"))
		}
		*e = entry{address: a, revoked: now.UTC().Truncate(time.Second)}
		return nil
	})
}

// set changes one entry. One that is not there is an empty one for edit, which must refuse it.
func (r *Registry) set(a telemetry.Address, edit func(e *entry) error) error {
	return r.change(func(t *agentTable) error {
		i, known := t.find(a)
		if !known {
			return edit(&entry{})
		}
		return edit(&(*t)[i])
	})
}

// change writes the agents' file anew.
func (r *Registry) change(edit func(t *agentTable) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.agents.change(0o600, func(t agentTable, _ string) (string, error) {
		t = slices.Clone(t)
		if err := edit(&t); err != nil {
			return "", err
		}
		return t.toml()
	})
}
