package web

import "github.com/smartvillage/nabz/collector/fleet"

// filters are what the form of a board and of a map offers.
type filters struct {
	View    view
	Path    string
	Selects []pick
	States  []option
	Sorts   []option // of a board, for a screen that has no room for columns
}

// pick is one list to choose from.
type pick struct {
	Name, Word, All string
	Options         []option
}

type option struct {
	Value, Word string
	Count       int
	Chosen      bool
}

func newFilters(v view, c chosen, path string) filters {
	f := filters{View: v, Path: path}
	if path == "/" {
		for _, o := range []option{{Value: "", Word: "Most urgent first"}, {Value: "name", Word: "By name"}, {Value: "since", Word: "Newest change first"},
			{Value: "availability", Word: "Least available first"}, {Value: "latency", Word: "Longest latency first"}, {Value: "loss", Word: "Most loss first"},
			{Value: "down", Word: "Most download first"}, {Value: "up", Word: "Most upload first"}} {
			o.Chosen = o.Value == v.Sort
			f.Sorts = append(f.Sorts, o)
		}
	}
	for i, p := range []pick{{Name: "district", Word: "District", All: "All districts"}, {Name: "operator", Word: "Operator", All: "All operators"},
		{Name: "technology", Word: "Technology", All: "All technologies"}} {
		chosen := []string{v.District, v.Operator, v.Technology}[i]
		if _, ok := c.facets[i][chosen]; !ok && chosen != "" { // of no site, and still what is chosen
			c.facets[i][chosen] = 0
		}
		for _, name := range sortedKeys(c.facets[i]) {
			p.Options = append(p.Options, option{name, name, c.facets[i][name], name == chosen})
		}
		if len(p.Options) > 0 {
			f.Selects = append(f.Selects, p)
		}
	}
	for _, state := range shownStates() {
		if n := c.counts[state]; n > 0 || v.State == state || state == fleet.Down {
			f.States = append(f.States, option{string(state), stateWord(string(state)), n, v.State == state})
		}
	}
	return f
}
