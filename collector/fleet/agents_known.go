package fleet

import (
	"crypto/sha256"

	"github.com/smartvillage/nabz/telemetry"
)

// Known tells whether an agent has a secret and is not revoked: whether what a broker of others let through in its name is to be taken in.
func (r *Registry) Known(a telemetry.Address) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	i, ok := r.agents.value.find(a)
	return ok && r.agents.value[i].revoked.IsZero() && r.agents.value[i].secret != hash{}
}

// Replaces tells whether an agent may sign in with another secret than the one that has this hash, and will no longer once it has enrolled with this one.
func (r *Registry) Replaces(a telemetry.Address, secret [sha256.Size]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	i, ok := r.agents.value.find(a)
	return ok && r.agents.value[i].revoked.IsZero() && r.agents.value[i].secret != hash{} && r.agents.value[i].secret != secret
}

// Verifier is what a Mosquitto broker keeps of one agent's secret; "" where the agent enrolled before such were sent.
type Verifier struct {
	Address   telemetry.Address
	Mosquitto string
}

// Verifiers lists the agents that may sign in, sorted by site and agent.
func (r *Registry) Verifiers() []Verifier {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	var all []Verifier
	for _, e := range r.agents.value {
		if e.revoked.IsZero() && e.secret != (hash{}) {
			all = append(all, Verifier{e.address, e.mosquitto})
		}
	}
	return all
}
