package fleet

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
)

type hash = [sha256.Size]byte

// entry is one agent in agents.toml. A hash that is all zero is none.
type entry struct {
	address telemetry.Address
	secret  hash      // the agent may sign in with the secret that has it
	word    hash      // whoever knows the word that has it may enrol as this agent
	until   time.Time // for so long
	used    hash      // the secret that the word was used for; it may be used again for that one, as answers are lost on bad links
	revoked time.Time // zero: it is not

	mosquitto string // the secret's verifier, for a broker that is not ours; "": not known
}

// entryText is how it is written.
type entryText struct {
	Address string `toml:"address"`
	Secret  string `toml:"secret_sha256,omitempty"`
	Word    string `toml:"enrol_sha256,omitempty"`
	Until   string `toml:"enrol_until,omitempty"`
	Used    string `toml:"enrol_used_sha256,omitempty"`
	Revoked string `toml:"revoked,omitempty"`

	Mosquitto string `toml:"mosquitto,omitempty"`
}

// agentTable is what agents.toml holds, sorted by address.
type agentTable []entry

func (t agentTable) find(a telemetry.Address) (int, bool) {
	return slices.BinarySearchFunc(t, a, func(e entry, a telemetry.Address) int { return compare(e.address, a) })
}

func compare(a, b telemetry.Address) int {
	return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Agent, b.Agent))
}

func parseAgents(file string, data []byte) (agentTable, error) {
	var f struct {
		Agent []entryText `toml:"agent"`
	}
	doc, err := conf.Parse(file, data, &f)
	if doc == nil {
		return nil, err
	}
	faults := []error{err}
	var t agentTable
	seen := map[telemetry.Address]bool{}
	for i, text := range f.Agent {
		key := fmt.Sprintf("agent[%d].", i)
		a, err := telemetry.ParseAddress(text.Address)
		if err != nil {
			faults = append(faults, doc.Faultf(key+"address", "%w", err))
			continue
		}
		if seen[a] {
			faults = append(faults, doc.Faultf(key+"address", "agent %s is there twice", a))
		}
		seen[a] = true
		e := entry{address: a, mosquitto: text.Mosquitto}
		if e.mosquitto != "" {
			if err := telemetry.CheckMosquittoVerifier(e.mosquitto); err != nil {
				faults = append(faults, doc.Faultf(key+"mosquitto", "%w", err))
			}
		}
		for _, h := range []struct {
			key, text string
			to        *hash
		}{{"secret_sha256", text.Secret, &e.secret}, {"enrol_sha256", text.Word, &e.word}, {"enrol_used_sha256", text.Used, &e.used}} {
			b, err := hex.DecodeString(h.text)
			if err != nil || len(b) != len(h.to) && h.text != "" {
				faults = append(faults, doc.Faultf(key+h.key, "want the SHA-256 of the secret as 64 hex digits; \"nabz-collector agent add\" writes it"))
				continue
			}
			copy(h.to[:], b)
		}
		for _, m := range []struct {
			key, text string
			to        *time.Time
		}{{"enrol_until", text.Until, &e.until}, {"revoked", text.Revoked, &e.revoked}} {
			if m.text == "" {
				continue
			}
			if *m.to, err = time.Parse(time.RFC3339, m.text); err != nil {
				faults = append(faults, doc.Faultf(key+m.key, "got %q, want a time as \"2026-12-01T08:00:00Z\"", m.text))
			}
		}
		if e.secret == (hash{}) && e.word == (hash{}) && e.revoked.IsZero() && text.Secret == "" && text.Word == "" {
			faults = append(faults, doc.Faultf(key+"address", "agent %s has neither secret_sha256 nor enrol_sha256, so it can never sign in; \"nabz-collector agent add\" writes them", a))
		}
		t = append(t, e)
	}
	slices.SortFunc(t, func(a, b entry) int { return compare(a.address, b.address) })
	return t, errors.Join(faults...)
}

const agentsHead = "# Who may sign in. nabz-collector agent add, rotate and revoke write this file anew; a collector that runs takes it in within a second.\n"

// toml is the whole file.
func (t agentTable) toml() (string, error) {
	text := func(h hash) string {
		if h == (hash{}) {
			return ""
		}
		return hex.EncodeToString(h[:])
	}
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	var f struct {
		Agent []entryText `toml:"agent"`
	}
	for _, e := range t {
		f.Agent = append(f.Agent, entryText{e.address.String(), text(e.secret), text(e.word), moment(e.until), text(e.used), moment(e.revoked), e.mosquitto})
	}
	var b bytes.Buffer
	b.WriteString(agentsHead)
	w := toml.NewEncoder(&b)
	w.Indent = ""
	if err := w.Encode(f); err != nil {
		return "", fmt.Errorf("write the agents as TOML: %w", err)
	}
	return b.String(), nil
}
