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
	return r.sites.rewrite(0o644, func(now siteTable, data []byte) ([]byte, error) {
		add, update, err := plan(slices.Clone(now))
		if err != nil || len(add)+len(update) == 0 {
			return nil, err
		}
		want, text := slices.Clone(now), readSiteText(data)
		for _, s := range update {
			i, ok := want.find(s.ID)
			if !ok {
				return nil, fmt.Errorf("site %q %w", s.ID, ErrUnknown)
			}
			if err := text.set(want[i], s); err != nil {
				return nil, fmt.Errorf("%s: %w", r.sites.file, err)
			}
			want[i] = s
		}
		if len(add) > 0 {
			if err := text.append(add); err != nil {
				return nil, err
			}
		}
		return r.checked(text, append(want, add...))
	})
}

// RemoveSite takes a site out of the file. One that has agents stays: they would go on reporting for nobody.
func (r *Registry) RemoveSite(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sites.rewrite(0o644, func(now siteTable, data []byte) ([]byte, error) {
		i, ok := now.find(id)
		if !ok {
			return nil, fmt.Errorf("site %q %w; it is not in %s", id, ErrUnknown, r.sites.file)
		}
		if _, err := r.agents.look(); err != nil {
			return nil, err
		}
		var agents []string
		for _, a := range r.agents.value.list {
			if a.Site == id {
				agents = append(agents, a.String())
			}
		}
		if len(agents) > 0 {
			return nil, fmt.Errorf("site %q has agents: %s; take their entries out of %s first", id, strings.Join(agents, ", "), r.agents.file)
		}
		text := readSiteText(data)
		if err := text.remove(id); err != nil {
			return nil, fmt.Errorf("%s: %w", r.sites.file, err)
		}
		return r.checked(text, slices.Delete(slices.Clone(now), i, i+1))
	})
}

// checked is the text, if it says what is wanted.
func (r *Registry) checked(text *siteText, want siteTable) ([]byte, error) {
	data := []byte(text.String())
	got, err := parseSites(r.sites.file, data)
	if err != nil {
		return nil, fmt.Errorf("nothing is written, as the file would not be read any more: %w", err)
	}
	slices.SortFunc(want, func(a, b Site) int { return strings.Compare(a.ID, b.ID) })
	if !slices.Equal(got, want) {
		return nil, fmt.Errorf("%s is written in a way that cannot be changed by itself, and stays as it is; write each site as a section [[site]], each value on a line", r.sites.file)
	}
	return data, nil
}

func (t siteTable) find(id string) (int, bool) {
	return slices.BinarySearchFunc(t, id, func(s Site, id string) int { return strings.Compare(s.ID, id) })
}
