package web

import (
	"cmp"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/timeline"
)

// sorts are the orders of the board, the worst first. Sites that are equal stay in the order of severity.
var sorts = map[string]func(a, b *seen) int{
	"": func(*seen, *seen) int { return 0 },
	"name": func(a, b *seen) int {
		return cmp.Compare(strings.ToLower(a.Site.Title()), strings.ToLower(b.Site.Title()))
	},
	"since":        func(a, b *seen) int { return b.Since.Compare(a.Since) },
	"availability": func(a, b *seen) int { return cmp.Compare(availability24(&a.Status), availability24(&b.Status)) },
	"latency":      func(a, b *seen) int { return -cmp.Compare(value(a.LatencyMs), value(b.LatencyMs)) },
	"loss":         func(a, b *seen) int { return -cmp.Compare(value(a.LossPct), value(b.LossPct)) },
	"down":         func(a, b *seen) int { return -cmp.Compare(value(a.RxBps), value(b.RxBps)) },
	"up":           func(a, b *seen) int { return -cmp.Compare(value(a.TxBps), value(b.TxBps)) },
}

// value puts what is missing behind everything that was measured.
func value(p *float64) float64 {
	if p == nil {
		return -1
	}
	return *p
}

// availability24 is the last day's availability; a site without one comes last.
func availability24(st *fleet.Status) float64 {
	f := day(st)
	if f.Availability == nil {
		return 2
	}
	return *f.Availability
}

// day is the figures of the ribbon.
func day(st *fleet.Status) report.Figures {
	var tl timeline.Timeline
	tl.Extend(st.Ribbon)
	return report.Of(&tl, st.From.UnixMilli(), st.Now.UnixMilli())
}

// chosen are the sites of a view, in its order, and what else there would be.
type chosen struct {
	all    []*seen // of the view, over all its pages
	page   []*seen
	counts map[fleet.SiteState]int // of the view with every state
	whole  map[fleet.SiteState]int // of the fleet
	total  int                     // sites of the fleet
	facets [3]map[string]int       // districts, operators, technologies: how many sites each would leave, all else as it is
	pages  int
}

// choose picks the sites of a view, and sets its page right.
func (n *snapshot) choose(v *view) chosen {
	c := chosen{counts: map[fleet.SiteState]int{}, whole: n.counts, total: len(n.sites)}
	for i := range c.facets {
		c.facets[i] = map[string]int{}
	}
	needle := strings.ToLower(v.Q)
	for _, s := range n.sorted(v.Sort) {
		if needle != "" && !strings.Contains(s.text, needle) {
			continue
		}
		kept := [4]bool{v.State == "" || s.Shown == v.State, v.District == "" || s.Site.District == v.District,
			v.Operator == "" || s.Site.Operator == v.Operator, v.Technology == "" || s.Site.Technology == v.Technology}
		out, last := 0, 0
		for i, k := range kept {
			if !k {
				out, last = out+1, i
			}
		}
		if out == 0 {
			c.all = append(c.all, s)
		}
		if out == 0 || out == 1 && last == 0 {
			c.counts[s.Shown]++
		}
		for i, name := range [3]string{s.Site.District, s.Site.Operator, s.Site.Technology} {
			if name != "" && (out == 0 || out == 1 && last == i+1) {
				c.facets[i][name]++
			}
		}
	}
	c.pages = max(1, (len(c.all)+perPage-1)/perPage)
	v.Page = min(v.Page, c.pages)
	c.page = c.all[(v.Page-1)*perPage : min(v.Page*perPage, len(c.all))]
	return c
}

// sorted is all sites in that order. It is made once for all boards.
func (n *snapshot) sorted(by string) []*seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	if out, ok := n.orders[by]; ok {
		return out
	}
	if by == "availability" { // the only order that needs all ribbons
		for i := range n.sites {
			n.ribbon(&n.sites[i])
		}
	}
	out := make([]*seen, len(n.sites))
	for i := range n.sites {
		out[i] = &n.sites[i]
	}
	severity := map[fleet.SiteState]int{}
	for i, state := range shownStates() {
		severity[state] = i
	}
	order := sorts[by]
	slices.SortStableFunc(out, func(a, b *seen) int { // the newest trouble first, then by id
		if n := order(a, b); n != 0 {
			return n
		}
		if n := severity[a.Shown] - severity[b.Shown]; n != 0 || a.Shown == fleet.Up {
			return n
		}
		return b.Since.Compare(a.Since)
	})
	n.orders[by] = out
	return out
}
