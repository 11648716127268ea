package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/internal/conf"
)

// siteTable is what sites.toml holds, sorted by id.
type siteTable []Site

func parseSites(file string, data []byte) (siteTable, error) {
	var f struct {
		Site []Site `toml:"site"`
	}
	doc, err := conf.Parse(file, data, &f)
	if doc == nil {
		return nil, err
	}
	faults := []error{err}
	seen, zones := map[string]bool{}, zoneTable{}
	for i, s := range f.Site {
		key := fmt.Sprintf("site[%d].", i)
		faults = append(faults, s.check(doc, key, zones))
		if seen[s.ID] {
			faults = append(faults, doc.Faultf(key+"id", "site %q is there twice", s.ID))
		}
		seen[s.ID] = true
	}
	slices.SortFunc(f.Site, func(a, b Site) int { return strings.Compare(a.ID, b.ID) })
	return f.Site, errors.Join(faults...)
}
