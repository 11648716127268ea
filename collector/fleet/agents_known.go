package fleet

import "github.com/smartvillage/nabz/telemetry"

// Known tells whether an agent has a secret and is not revoked: whether what a broker of others let through in its name is to be taken in.
func (r *Registry) Known(a telemetry.Address) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	i, ok := r.agents.value.find(a)
	return ok && r.agents.value[i].revoked.IsZero() && r.agents.value[i].secret != hash{}
}
