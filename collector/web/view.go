package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/timeline"
)

// view is which sites a board shows, and in which order: what stands in its address.
type view struct {
	Sort  string // one of sorts; "" is severity
	State fleet.SiteState
	Q     string
	Page  int // from 1
}

// perPage is how many sites one page of the board shows. Beyond it nobody reads a wall.
const perPage = 200

// maxQuery bounds a search, in bytes.
const maxQuery = 100

func parseView(r *http.Request) view {
	q := r.URL.Query()
	v := view{Sort: q.Get("sort"), State: fleet.SiteState(q.Get("state")), Q: strings.TrimSpace(q.Get("q")), Page: 1}
	if _, ok := sorts[v.Sort]; !ok {
		v.Sort = ""
	}
	if !slices.Contains(fleet.SiteStates(), v.State) {
		v.State = ""
	}
	if len(v.Q) > maxQuery {
		v.Q = strings.ToValidUTF8(v.Q[:maxQuery], "")
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 && n < 1e6 {
		v.Page = n
	}
	return v
}

// url is the address of the view at that path.
func (v view) url(path string) string {
	q := url.Values{}
	set := func(k, s string) {
		if s != "" {
			q.Set(k, s)
		}
	}
	set("sort", v.Sort)
	set("state", string(v.State))
	set("q", v.Q)
	if v.Page > 1 {
		q.Set("page", strconv.Itoa(v.Page))
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// By is the same view in another order.
func (v view) By(sort string) string { v.Sort, v.Page = sort, 1; return v.url("/") }

// With is the same view of one state only, or of all.
func (v view) With(state string) string {
	v.State, v.Page = fleet.SiteState(state), 1
	return v.url("/")
}

// At is another page of the view.
func (v view) At(page int) string { v.Page = page; return v.url("/") }

// sorts are the orders of the board, the worst first. Sites that are equal stay in the order of severity.
var sorts = map[string]func(a, b *fleet.Status) int{
	"": func(*fleet.Status, *fleet.Status) int { return 0 },
	"name": func(a, b *fleet.Status) int {
		return cmp.Compare(strings.ToLower(a.Site.Title()), strings.ToLower(b.Site.Title()))
	},
	"since":        func(a, b *fleet.Status) int { return b.Since.Compare(a.Since) },
	"availability": func(a, b *fleet.Status) int { return cmp.Compare(availability24(a), availability24(b)) },
	"latency":      func(a, b *fleet.Status) int { return -cmp.Compare(value(a.LatencyMs), value(b.LatencyMs)) },
	"loss":         func(a, b *fleet.Status) int { return -cmp.Compare(value(a.LossPct), value(b.LossPct)) },
	"down":         func(a, b *fleet.Status) int { return -cmp.Compare(value(a.RxBps), value(b.RxBps)) },
	"up":           func(a, b *fleet.Status) int { return -cmp.Compare(value(a.TxBps), value(b.TxBps)) },
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

// chosen are the sites of a view, in its order, and how many sites there are in each state.
type chosen struct {
	all    []*fleet.Status // of the view, over all its pages
	page   []*fleet.Status
	counts map[fleet.SiteState]int
	total  int
	pages  int
}

// choose picks and sorts. Only a sort by availability needs all ribbons.
func (s *server) choose(v *view) chosen {
	all := s.Live.Overview()
	if v.Sort == "availability" {
		s.Live.Ribbons(all)
	}
	c := chosen{counts: map[fleet.SiteState]int{}, total: len(all)}
	needle := strings.ToLower(v.Q)
	for i := range all {
		st := &all[i]
		c.counts[st.State]++
		if (v.State == "" || st.State == v.State) && matches(st.Site, needle) {
			c.all = append(c.all, st)
		}
	}
	severity := map[fleet.SiteState]int{}
	for i, state := range fleet.SiteStates() {
		severity[state] = i
	}
	by := sorts[v.Sort]
	slices.SortStableFunc(c.all, func(a, b *fleet.Status) int { // the newest trouble first, then by id
		if n := by(a, b); n != 0 {
			return n
		}
		if n := severity[a.State] - severity[b.State]; n != 0 || a.State == fleet.Up {
			return n
		}
		return b.Since.Compare(a.Since)
	})
	c.pages = max(1, (len(c.all)+perPage-1)/perPage)
	v.Page = min(v.Page, c.pages)
	c.page = c.all[(v.Page-1)*perPage : min(v.Page*perPage, len(c.all))]
	return c
}

func matches(site fleet.Site, needle string) bool {
	if needle == "" {
		return true
	}
	for _, text := range []string{site.ID, site.Name, site.District, site.Operator, site.Technology} {
		if strings.Contains(strings.ToLower(text), needle) {
			return true
		}
	}
	return false
}
