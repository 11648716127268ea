package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/collector/fleet"
)

// Maintenance is how a board shows a site in a maintenance window, whatever its own state is then.
const Maintenance fleet.SiteState = "maintenance"

// shownStates lists all that a board shows, the most urgent first.
func shownStates() []fleet.SiteState {
	return []fleet.SiteState{fleet.Down, fleet.Unreachable, fleet.Off, fleet.Degraded, Maintenance, fleet.NeverSeen, fleet.Up}
}

// view is which sites a board shows, and in which order: what stands in its address.
type view struct {
	Sort                           string // one of sorts; "" is severity
	State                          fleet.SiteState
	District, Operator, Technology string
	Q                              string
	Page                           int // from 1
}

// perPage is how many sites one page of the board shows. Beyond it nobody reads a wall.
const perPage = 200

// maxQuery bounds a search and the text of a filter, in bytes.
const maxQuery = 100

func parseView(r *http.Request) view {
	q := r.URL.Query()
	v := view{Sort: q.Get("sort"), State: fleet.SiteState(q.Get("state")), Q: short(q.Get("q")),
		District: short(q.Get("district")), Operator: short(q.Get("operator")), Technology: short(q.Get("technology")), Page: 1}
	if _, ok := sorts[v.Sort]; !ok {
		v.Sort = ""
	}
	if !slices.Contains(shownStates(), v.State) {
		v.State = ""
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 && n < 1e6 {
		v.Page = n
	}
	return v
}

func short(text string) string {
	if text = strings.TrimSpace(text); len(text) > maxQuery {
		text = strings.ToValidUTF8(text[:maxQuery], "")
	}
	return text
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
	set("district", v.District)
	set("operator", v.Operator)
	set("technology", v.Technology)
	set("q", v.Q)
	if v.Page > 1 {
		q.Set("page", strconv.Itoa(v.Page))
	}
	if len(q) == 0 {
		return path
	}
	if strings.Contains(path, "?") {
		return path + "&" + q.Encode()
	}
	return path + "?" + q.Encode()
}

// URL is the view as a board.
func (v view) URL() string { return v.url("/") }

// Map is the same view as a map.
func (v view) Map() string { v.Sort, v.Page = "", 1; return v.url("/map") }

// JSON is the same view for programs.
func (v view) JSON() string { v.Page = 1; return v.url("/api/v1/sites") }

// By is the same view in another order.
func (v view) By(sort string) string { v.Sort, v.Page = sort, 1; return v.url("/") }

// With is the same view of one state only, or of all.
func (v view) With(path, state string) string {
	v.State, v.Page = fleet.SiteState(state), 1
	return v.url(path)
}

// At is another page of the view.
func (v view) At(page int) string { v.Page = page; return v.url("/") }

// Narrow tells whether it leaves sites out.
func (v view) Narrow() bool {
	return v.State != "" || v.District != "" || v.Operator != "" || v.Technology != "" || v.Q != ""
}

// All is the same order without any filter.
func (v view) All(path string) string { return view{Sort: v.Sort, Page: 1}.url(path) }
