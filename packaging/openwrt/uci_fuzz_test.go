package openwrt

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/agent"
)

// reference reads one "option ca_file" by the rules of UCI's file format, written anew from their description: what is said, and whether it is right.
func reference(s string) (words []string, ok bool) {
	var word strings.Builder
	in, begun := byte(0), false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && in != '\'' && i+1 < len(s):
			if i++; s[i] != '\n' {
				word.WriteByte(s[i])
				begun = true
			}
		case c == '\\' && in != '\'':
		case in != 0 && c == in:
			in = 0
		case in != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			in, begun = c, true
		case c == '\n':
			end()
			return words, true
		case c == ' ' || c == '\t':
			end()
		case c == '#':
			end()
			for i+1 < len(s) && s[i+1] != '\n' {
				i++
			}
		case c == ';':
			return nil, false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	return words, in == 0
}

func TestWhateverStandsBehindAnOptionIsReadAsUCIReadsItOrRefused(t *testing.T) {
	translate(t, "")
	rapid.Check(t, func(r *rapid.T) {
		rest := rapid.StringOfN(rapid.RuneFrom([]rune("ab\\\\''\"\" \t#;ن")), 0, 14, -1).Draw(r, "rest")
		if rapid.Bool().Draw(r, "two lines") {
			rest += "\n" + rapid.StringOfN(rapid.RuneFrom([]rune("\\'\" #")), 0, 4, -1).Draw(r, "more")
		}
		words, right := reference(rest)
		out, faults, status := translate(t, "config agent\noption ca_file "+rest+"\n")
		if status == 1 {
			// What UCI takes whole, with nothing behind it, is never refused.
			if right && len(words) == 1 && words[0] != "" && !strings.Contains(rest, "\n") {
				r.Fatalf("%q is refused: %s", rest, faults)
			}
			return
		}
		c, _, err := agent.Parse("made", []byte(out), "")
		if !right || len(words) != 1 || err != nil || words[0] != c.CAFile && !(words[0] == "-" && c.CAFile == "") {
			r.Fatalf("%q is read as %q, want %q %v (%v)\n%s", rest, c.CAFile, words, right, err, out)
		}
	})
}
