package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// state is what a run leaves to the next: the world, and how far each site has come.
type state struct {
	Seed   uint64                `json:"seed"`
	Runs   int64                 `json:"runs"`
	Forced []Forced              `json:"forced,omitempty"`
	Sites  map[string]*siteState `json:"sites"`
}

// siteState: times are ms since the epoch.
type siteState struct {
	From   int64     `json:"from"` // the first instant of the site's history
	Sent   int64     `json:"sent"` // all told before this is acknowledged
	High   int64     `json:"high"` // nothing told after this has been sent
	Seq    uint64    `json:"seq"`  // of the last batch
	Coarse []stretch `json:"coarse,omitempty"`
}

func loadState(file string, seed uint64) (*state, error) {
	s := &state{Seed: seed, Sites: map[string]*siteState{}}
	if file == "" {
		return s, nil
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, s)
	}
	if err != nil {
		return nil, fmt.Errorf("read state %s: %w; remove it to begin anew", file, err)
	}
	if s.Seed != seed {
		return nil, fmt.Errorf("state %s is of seed %d, not %d: give --seed %d, or another --state and --truth", file, s.Seed, seed, s.Seed)
	}
	for id, v := range s.Sites {
		if v == nil || v.Sent < v.From || v.From <= 0 {
			return nil, fmt.Errorf("state %s: site %q is damaged; remove the file to begin anew", file, id)
		}
	}
	return s, nil
}

// begin prepares a site for a run that has everything told up to now. The history is coarse up to a day ago,
// but never where minutes may have been sent already: a line once sent keeps its value.
func (s *state) begin(id string, now, history int64) *siteState {
	v, ok := s.Sites[id]
	if !ok {
		from := floor(now-history, minute)
		v = &siteState{From: from, Sent: from, High: from}
		s.Sites[id] = v
	}
	v.Coarse = slices.DeleteFunc(v.Coarse, func(c stretch) bool { return c.To <= v.Sent })
	if fine := floor(now-fineFor, coarseStep); fine > v.High {
		v.Coarse = append(v.Coarse, stretch{v.High, fine})
	}
	v.High = max(v.High, now)
	return v
}

// save replaces the file whole, so that a crash leaves the old one or the new one.
func (s *state) save(file string) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err == nil {
		err = replace(file, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write state %s: %w", file, err)
	}
	return nil
}

func replace(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed, as it should
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
