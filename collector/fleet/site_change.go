package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknown is in the error of RemoveSite when there is no such site.
var ErrUnknown = errors.New("is not there")

// ChangeSites writes many sites in one step: all of them or none. Plan is told the sites as they are, sorted by id,
// while no other process can write, and says which are new and which, by their id, change. What people wrote around
// them stays: comments, order, the look of each line that need not change.
func (r *Registry) ChangeSites(plan func(now []Site) (add, update []Site, err error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sites.change(0o644, func(now siteTable, was string) (string, error) {
		add, update, err := plan(slices.Clone(now))
		if err != nil || len(add)+len(update) == 0 {
			return was, err
		}
		want, text := slices.Clone(now), readSiteText(was)
		for _, s := range update {
			i, ok := want.find(s.ID)
			if !ok {
				return "", fmt.Errorf("site %q %w", s.ID, ErrUnknown)
			}
			if err := text.set(want[i], s); err != nil {
				return "", fmt.Errorf("%s: %w", r.sites.file, err)
			}
			want[i] = s
		}
		if len(add) > 0 {
			if err := text.append(add); err != nil {
				return "", err
			}
		}
		return r.checked(text, append(want, add...))
	})
}

// RemoveSite takes a site out of the file. One with agents that are not revoked stays: they would go on reporting for nobody.
func (r *Registry) RemoveSite(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sites.change(0o644, func(now siteTable, was string) (string, error) {
		i, ok := now.find(id)
		if !ok {
			return "", fmt.Errorf("site %q %w; it is not in %s", id, ErrUnknown, r.sites.file)
		}
		if _, err := r.agents.look(); err != nil {
			return "", err
		}
		var agents []string
		for _, e := range r.agents.value {
			if e.address.Site == id && e.revoked.IsZero() {
				agents = append(agents, e.address.String())
			}
		}
		if len(agents) > 0 {
			return "", fmt.Errorf("site %q has agents; first: nabz-collector agent revoke %s", id, strings.Join(agents, " "))
		}
		text := readSiteText(was)
		if err := text.remove(id); err != nil {
			return "", fmt.Errorf("%s: %w", r.sites.file, err)
		}
		return r.checked(text, slices.Delete(slices.Clone(now), i, i+1))
	})
}

// checked is the text, if it says what is wanted.
func (r *Registry) checked(text *siteText, want siteTable) (string, error) {
	after := text.String()
	got, err := parseSites(r.sites.file, []byte(after))
	if err != nil {
		return "", fmt.Errorf("nothing is written, as the file would not be read any more: %w", err)
	}
	slices.SortFunc(want, func(a, b Site) int { return strings.Compare(a.ID, b.ID) })
	if !slices.Equal(got, want) {
		return "", fmt.Errorf("%s is written in a way that cannot be changed by itself, and stays as it is; write each site as a section [[site]], each value on a line", r.sites.file)
	}
	return after, nil
}

func (t siteTable) find(id string) (int, bool) {
	return slices.BinarySearchFunc(t, id, func(s Site, id string) int { return strings.Compare(s.ID, id) })
}
