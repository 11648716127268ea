package finding

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestAFindingIsReadableWithoutColour(t *testing.T) {
	var b bytes.Buffer
	if _, err := (Finding{Matter: "broker", Grade: Fail, Found: "gone", Next: "call"}).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "FAIL  broker        gone\n                    → call\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFindingIsReadByProgramsToo(t *testing.T) {
	b, err := json.Marshal([]Finding{{Matter: "clock", Grade: Warn, Found: "late", Next: "set it"}, {Matter: "board", Found: "answers"}})
	if want := `[{"matter":"clock","grade":"warn","found":"late","next":"set it"},{"matter":"board","grade":"pass","found":"answers"}]`; err != nil || string(b) != want {
		t.Errorf("got %s, %v\nwant %s", b, err, want)
	}
}

func TestTheWorstGradeIsTheExitStatus(t *testing.T) {
	for g, want := range map[Grade]int{Pass: 0, Warn: 3, Fail: 1} {
		if got := g.Status(); got != want {
			t.Errorf("%s: got %d, want %d", g, got, want)
		}
	}
}
