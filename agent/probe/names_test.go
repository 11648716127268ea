package probe

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// resolver answers each question with a code, or not at all when the code is negative, and counts questions.
func resolver(t *testing.T, code int, damage func([]byte) []byte) (at netip.AddrPort, asked *atomic.Int32) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			asked.Add(1)
			if code >= 0 {
				b[2], b[3] = 0x81, 0x80|byte(code)
				_, _ = c.WriteTo(damage(b[:n]), from)
			}
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), asked
}

func TestNamesAreDeadOnlyWhenNoResolverAnswers(t *testing.T) {
	asIs := func(b []byte) []byte { return b }
	for _, tt := range []struct {
		name  string
		codes []int
		want  bool
		asked []int32
	}{
		{"one answers", []int{noError}, true, []int32{1}},
		{"there is no such name", []int{noSuchName}, true, []int32{1}},
		{"one of two is dead", []int{-1, noError}, true, []int32{1, 1}},
		{"one of two reaches nobody", []int{2, noError}, true, []int32{1, 1}},
		{"the only one reaches nobody", []int{2}, false, []int32{1}},
		{"two reach nobody", []int{2, 5}, false, []int32{1, 1}},
		{"all are dead", []int{-1, -1}, false, []int32{2, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var servers []netip.AddrPort
			var asked []*atomic.Int32
			for _, c := range tt.codes {
				at, n := resolver(t, c, asIs)
				servers, asked = append(servers, at), append(asked, n)
			}
			n := &Net{resolvers: func() []netip.AddrPort { return servers }}
			s := n.Resolve(t.Context(), "Village.example.", 600*time.Millisecond)
			if s.Sent != 1 || s.Answered() != tt.want || tt.want && (s.Asked.IsZero() || s.Heard.Before(s.Asked)) {
				t.Errorf("got %+v", s)
			}
			var got []int32
			for _, a := range asked {
				got = append(got, a.Load())
			}
			if !slices.Equal(got, tt.asked) {
				t.Errorf("asked %v times, want %v", got, tt.asked)
			}
			if tt.want && len(servers) == 2 { // the one that answered is asked first the next time
				n.Resolve(t.Context(), "village.example", 600*time.Millisecond)
				if asked[0].Load() != tt.asked[0] || asked[1].Load() != 2 {
					t.Errorf("then asked %v and %v times", asked[0].Load(), asked[1].Load())
				}
			}
		})
	}
}

func TestAnAnswerToAnotherQuestionIsNone(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"another id":       func(b []byte) []byte { b[0]++; return b },
		"another name":     func(b []byte) []byte { b[dnsHeader+1]++; return b },
		"a question":       func(b []byte) []byte { b[2] = 1; return b },
		"cut off":          func(b []byte) []byte { return b[:len(b)-1] },
		"nothing":          func(b []byte) []byte { return b[:0] },
		"of two questions": func(b []byte) []byte { b[5] = 2; return b },
	} {
		at, _ := resolver(t, noError, damage)
		n := &Net{resolvers: func() []netip.AddrPort { return []netip.AddrPort{at} }}
		if s := n.Resolve(t.Context(), "village.example", 90*time.Millisecond); s.Answered() {
			t.Errorf("%s: taken for an answer", name)
		}
	}
}

func TestAQuestionIsAsSmallAsCanBe(t *testing.T) {
	b, err := appendQuestion(nil, 0x1234, "example.com")
	want := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"
	if err != nil || string(b) != want {
		t.Errorf("got %q, %v\nwant %q", b, err, want)
	}
	for _, bad := range []string{"", "..", "a..b", strings.Repeat("a", 64) + ".example"} {
		if b, err := appendQuestion(nil, 1, bad); err == nil {
			t.Errorf("%q became %q", bad, b)
		}
	}
}

func TestResolversAreThoseOfTheSystem(t *testing.T) {
	for text, want := range map[string]string{
		"# none\nsearch lan\n":                   "127.0.0.1:53",
		"":                                       "127.0.0.1:53",
		"nameserver 192.0.2.53\n":                "192.0.2.53:53",
		"nameserver\t192.0.2.53\nnameserver ::1": "192.0.2.53:53 [::1]:53",
		"nameserver nonsense\nnameserver 10.0.0.1": "10.0.0.1:53",
		strings.Repeat("nameserver 10.0.0.1\n", 5): "10.0.0.1:53 10.0.0.1:53 10.0.0.1:53",
	} {
		var got []string
		for _, a := range parseResolvers([]byte(text)) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %v, want %s", text, got, want)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	question, err := appendQuestion(nil, 7, "example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(question)
	f.Add(append([]byte{0, 7, 0x81, 0x80}, question[4:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if code, ok := answers(b, question); ok && (len(b) < len(question) || !bytes.Equal(b[:2], question[:2]) || code > 15) {
			t.Errorf("%q taken for an answer", b)
		}
	})
}
