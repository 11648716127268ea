package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
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

// agentTable is what agents.toml holds.
type agentTable struct {
	byAddress map[telemetry.Address][sha256.Size]byte
	list      []telemetry.Address // sorted
}

func parseAgents(file string, data []byte) (agentTable, error) {
	var f struct {
		Agent []struct {
			Address string `toml:"address"`
			Secret  string `toml:"secret_sha256"`
		} `toml:"agent"`
	}
	doc, err := conf.Parse(file, data, &f)
	if doc == nil {
		return agentTable{}, err
	}
	faults := []error{err}
	t := agentTable{byAddress: map[telemetry.Address][sha256.Size]byte{}}
	for i, e := range f.Agent {
		key := fmt.Sprintf("agent[%d].", i)
		a, err := telemetry.ParseAddress(e.Address)
		if err != nil {
			faults = append(faults, doc.Faultf(key+"address", "%w", err))
			continue
		}
		if _, ok := t.byAddress[a]; ok {
			faults = append(faults, doc.Faultf(key+"address", "agent %s is there twice", a))
		}
		hash, err := hex.DecodeString(e.Secret)
		if err != nil || len(hash) != sha256.Size {
			faults = append(faults, doc.Faultf(key+"secret_sha256", "want the SHA-256 of the secret as 64 hex digits; \"nabz-collector agent add\" writes it"))
			continue
		}
		t.byAddress[a] = [sha256.Size]byte(hash)
		t.list = append(t.list, a)
	}
	slices.SortFunc(t.list, func(a, b telemetry.Address) int { return strings.Compare(a.String(), b.String()) })
	return t, errors.Join(faults...)
}
