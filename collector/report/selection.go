package report

import (
	"errors"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/fleet"
)

// ErrSites is in the error of a selection that matches no site.
var ErrSites = errors.New("no such site")

// AllSites is the selection of every site in the sites file.
const AllSites = "all"

// selectors are what a site can be chosen by, beside its id.
func selectors() []struct {
	key string
	of  func(fleet.Site) string
} {
	return []struct {
		key string
		of  func(fleet.Site) string
	}{
		{"district", func(s fleet.Site) string { return s.District }}, {"operator", func(s fleet.Site) string { return s.Operator }},
		{"technology", func(s fleet.Site) string { return s.Technology }}, {"upstream", func(s fleet.Site) string { return s.Upstream }},
	}
}

// Select chooses sites: "all", ids, or district=, operator=, technology=, upstream= with a name as the sites file has it. Each
// text may hold several with commas between; a site is chosen when any of them names it. The terms come back as they are kept in a report,
// sorted, each once. The error, ErrSites, names the term that matches nothing.
func Select(all []fleet.Site, texts []string) (terms []string, chosen []fleet.Site, err error) {
	terms, err = parseTerms(all, texts)
	if err != nil {
		return nil, nil, err
	}
	if slices.Contains(terms, AllSites) {
		terms = []string{AllSites}
	}
	in := map[string]bool{}
	for _, term := range terms {
		n := len(in)
		for _, s := range all {
			if matches(s, term) {
				in[s.ID] = true
				n = -1
			}
		}
		if n >= 0 {
			return nil, nil, unmatched(all, term)
		}
	}
	for _, s := range all {
		if in[s.ID] {
			chosen = append(chosen, s)
		}
	}
	slices.SortFunc(chosen, func(a, b fleet.Site) int { return strings.Compare(a.ID, b.ID) })
	return terms, chosen, nil
}

// parseTerms parts texts at commas; a name that holds a comma itself is found whole.
func parseTerms(all []fleet.Site, texts []string) (terms []string, err error) {
	for _, text := range texts {
		parts := strings.Split(text, ",")
		for i := 0; i < len(parts); i++ {
			term := strings.TrimSpace(parts[i])
			for j := i + 1; j < len(parts) && !slices.ContainsFunc(all, func(s fleet.Site) bool { return matches(s, term) }); j++ {
				longer := strings.TrimSpace(strings.Join(parts[i:j+1], ","))
				if slices.ContainsFunc(all, func(s fleet.Site) bool { return matches(s, longer) }) {
					term, i = longer, j
				}
			}
			if term != "" {
				terms = append(terms, term)
			}
		}
	}
	slices.Sort(terms)
	if terms = slices.Compact(terms); len(terms) == 0 {
		return nil, faultf(ErrSites, "nothing is chosen; write all, ids with commas between, or district=NAME")
	}
	return terms, nil
}

func matches(s fleet.Site, term string) bool {
	if term == AllSites || term == s.ID {
		return true
	}
	key, value, ok := strings.Cut(term, "=")
	if !ok || value == "" {
		return false
	}
	for _, sel := range selectors() {
		if sel.key == key {
			return sel.of(s) == value
		}
	}
	return key == "site" && value == s.ID
}

func unmatched(all []fleet.Site, term string) error {
	if term == AllSites {
		return faultf(ErrSites, "the sites file is empty; nabz-collector site add or site import fill it")
	}
	key, value, ok := strings.Cut(term, "=")
	if !ok {
		return faultf(ErrSites, "%q is not in the sites file; nabz-collector site list shows those that are", term)
	}
	for _, sel := range selectors() {
		if sel.key != key {
			continue
		}
		var has []string
		for _, s := range all {
			if v := sel.of(s); v != "" {
				has = append(has, v)
			}
		}
		slices.Sort(has)
		has = slices.Compact(has)
		for _, v := range has {
			if strings.EqualFold(v, value) {
				return faultf(ErrSites, "no site has %s %q; did you mean %q?", key, value, v)
			}
		}
		switch more := len(has) - 10; {
		case len(has) == 0:
			return faultf(ErrSites, "no site has a %s in the sites file", key)
		case more > 0:
			return faultf(ErrSites, "no site has %s %q; there are %s and %d more", key, value, strings.Join(has[:10], ", "), more)
		default:
			return faultf(ErrSites, "no site has %s %q; there are %s", key, value, strings.Join(has, ", "))
		}
	}
	return faultf(ErrSites, "sites are not chosen by %q; write district=, operator=, technology=, upstream= or the sites' ids", key)
}
