package web

import (
	"bytes"
	"html/template"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// row is one site on the board, in words.
type row struct {
	ID, Title, Where    string
	State               fleet.SiteState
	Word, Known         string
	Planned, Care, Told string
	Since               *instant
	Ribbon              template.HTML
	Availability, Share string
	Poor                bool // too little is known to cite it
	Latency, Loss       *quantity
	Down, Up            *quantity
}

// instant is a time that a page shows as how long ago it was, and as what a clock said.
type instant struct{ Machine, Ago, Clock string }

func newInstant(t, now time.Time) *instant {
	if t.IsZero() {
		return nil
	}
	return &instant{Machine: t.UTC().Format(time.RFC3339), Ago: span(now.Sub(t)), Clock: moment(t, now)}
}

func newRow(st *seen) row {
	site := st.Site
	r := row{ID: site.ID, Title: site.Title(), Where: where(site), State: st.Shown, Word: stateWord(string(st.Shown)),
		Known: st.known(), Planned: st.planned(), Care: st.care(), Told: st.heardAt(),
		Since:   newInstant(st.since(), st.Now),
		Ribbon:  ribbon(st.Ribbon, st.From, st.Now),
		Latency: millis(st.LatencyMs), Loss: percent(st.LossPct), Down: bitrate(st.RxBps), Up: bitrate(st.TxBps)}
	if st.Unread {
		r.Word = "Not known yet"
	}
	f := day(&st.Status)
	r.Availability, r.Share, r.Poor = share(f.Availability, 1), share(f.Completeness, 0), !f.Citable
	return r
}

// where is what helps to tell sites apart: district, operator, technology.
func where(site fleet.Site) string {
	var parts []string
	for _, p := range []string{site.District, site.Operator, site.Technology} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 && site.Name != "" {
		return site.ID
	}
	return strings.Join(parts, " · ")
}

// render executes one template into text.
func (s *server) render(name string, data any) (string, error) {
	var b bytes.Buffer
	err := s.pages.ExecuteTemplate(&b, name, data)
	return b.String(), err
}
