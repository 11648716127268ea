package telemetry

import (
	"fmt"
	"strconv"
	"strings"
)

// Contract is the version of what goes over the wire, as this tree writes it. It rises by one with each release that adds something; what it adds an
// older peer passes over, as docs/telemetry.md says under "Older and newer". What no older peer could live with would get other topics than nabz/v1.
//
//	1  releases up to 0.6.0, which do not say it
//	2  the boot event says the contract; readers pass over fields, words of presence, states and clocks that they do not know
const Contract = 2

// maxVersion bounds the bytes of a version that is taken from an agent's words.
const maxVersion = 64

// Program is what an agent is, by the words of its boot event.
type Program struct {
	Version  string // as "nabz-agent --version" prints it; "" where it is not known
	System   string // such as linux/mipsle
	Contract int    // 0 where nothing is known
}

// BootDetail is the detail of an event of kind boot: what the program is, then what a person may want to know beside it.
func (p Program) BootDetail(more string) string {
	return fmt.Sprintf("nabz-agent %s on %s, contract %d, %s", p.Version, p.System, p.Contract, more)
}

// ProgramOf reads the detail of an event of kind boot. Agents up to 0.6.0 do not say their contract, which is the first. The zero value
// says that the text is of nobody who tells what he is.
func ProgramOf(detail string) Program {
	words, ok := strings.CutPrefix(detail, "nabz-agent ")
	version, rest, ok2 := strings.Cut(words, " on ")
	system, rest, _ := strings.Cut(rest, ", ")
	if !ok || !ok2 || version == "" || len(version) > maxVersion || len(system) > maxVersion {
		return Program{}
	}
	p := Program{Version: version, System: system, Contract: 1}
	if said, ok := strings.CutPrefix(rest, "contract "); ok {
		number, _, _ := strings.Cut(said, ",")
		if n, err := strconv.Atoi(number); err == nil && n > 0 && n < 1e6 {
			p.Contract = n
		}
	}
	return p
}
