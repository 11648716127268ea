package telemetry

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"strings"
)

// EnrolPath is where a collector enrols agents, below the address that an enrolment token names.
const EnrolPath = "/api/v1/enroll"

// Enrolment is what an enrolment token carries to a router: whom to ask, how to know that it is the programme's own collector, and the
// word that lets one agent in, once.
type Enrolment struct {
	Address Address
	URL     string // https://host or https://host:port, without a path
	// CA is the SHA-256 of the certificate (DER) of the authority that the collector's own certificate must come from. All zero: any
	// authority that the router's system trusts.
	CA   [sha256.Size]byte
	Word [16]byte // random; the collector keeps its hash only
}

const (
	enrolPrefix = "nabz1-"
	// maxEnrolURL keeps a token short enough to be sent in a message to a telephone.
	maxEnrolURL = 200
	maxEnrolLen = 640 // characters of a token
	enrolTail   = 4   // checksum
)

// NewSecret is what an agent signs in with: 256 random bits as 52 letters and digits.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// NewEnrolment makes one with a new word.
func NewEnrolment(a Address, url string, ca [sha256.Size]byte) (Enrolment, error) {
	e := Enrolment{Address: a, URL: strings.TrimSuffix(url, "/"), CA: ca}
	_, _ = rand.Read(e.Word[:]) // never fails, by its documentation
	return e, errors.Join(a.Check(), CheckEnrolURL(e.URL))
}

// CheckEnrolURL tells why agents cannot be enrolled at an address.
func CheckEnrolURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || len(text) > maxEnrolURL {
		return fmt.Errorf("%q is not an address to enrol at; write it as \"https://noc.example.org:8443\", at most %d characters", text, maxEnrolURL)
	}
	return nil
}

// Hash is what the collector keeps of the word.
func (e Enrolment) Hash() [sha256.Size]byte { return sha256.Sum256(e.Word[:]) }

// String is the token: letters, digits, "-" and "_" in one piece, about 140 of them, with a checksum.
func (e Enrolment) String() string {
	b := append(e.CA[:], e.Word[:]...)
	for _, s := range []string{e.Address.String(), e.URL} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return enrolPrefix + base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)))
}

// HoldsEnrolment tells whether a text has a token in it, or the beginning of one: it is not to be shown then.
func HoldsEnrolment(text string) bool { return strings.Contains(text, enrolPrefix) }

// copied is a token as it was made. Tokens are copied out of messages that break lines, put quotation marks around them, or have the command in front of
// them: no character that a token lacks belongs to it, nor what stands before its prefix.
func copied(text string) (code string, ok bool) {
	_, code, ok = strings.Cut(strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return -1
	}, text), enrolPrefix)
	return code, ok
}

// ParseEnrolment reads a token, as people copy it.
func ParseEnrolment(text string) (Enrolment, error) {
	code, ok := copied(text)
	if !ok {
		return Enrolment{}, fmt.Errorf("this is no enrolment token: one begins with %q; \"nabz-collector agent add\" prints it", enrolPrefix)
	}
	damaged := errors.New("the enrolment token is cut short or mistyped; copy the whole of it, from \"" + enrolPrefix + "\" to its end")
	if len(code) > maxEnrolLen {
		return Enrolment{}, damaged
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(b) < enrolTail || crc32.ChecksumIEEE(b[:len(b)-enrolTail]) != binary.BigEndian.Uint32(b[len(b)-enrolTail:]) {
		return Enrolment{}, damaged
	}
	var e Enrolment
	var texts [2]string
	in := bytes.NewReader(b[:len(b)-enrolTail])
	if n, _ := in.Read(e.CA[:]); n < len(e.CA) {
		return Enrolment{}, damaged
	}
	if n, _ := in.Read(e.Word[:]); n < len(e.Word) {
		return Enrolment{}, damaged
	}
	for i := range texts {
		n, err := binary.ReadUvarint(in)
		if err != nil || n > uint64(in.Len()) {
			return Enrolment{}, damaged
		}
		p := make([]byte, n)
		_, _ = in.Read(p) // as much is there
		texts[i] = string(p)
	}
	if in.Len() > 0 {
		return Enrolment{}, damaged
	}
	if e.Address, err = ParseAddress(texts[0]); err != nil {
		return Enrolment{}, fmt.Errorf("enrolment token: %w", err)
	}
	e.URL = texts[1]
	return e, CheckEnrolURL(e.URL)
}

// EnrolRequest is what an agent posts to EnrolPath. It makes its secret by itself and tells only the hash; so the same request may be
// sent again when the answer was lost, and gets the same answer.
type EnrolRequest struct {
	Address string `json:"address"`       // site/agent
	Word    string `json:"word"`          // of the token, in hex digits
	Secret  string `json:"secret_sha256"` // of the agent's secret, in hex digits
	// Mosquitto is the secret's MosquittoVerifier, for a broker that is not the collector's own. An agent that does not know of it leaves it out.
	Mosquitto string `json:"mosquitto,omitempty"`
}

// EnrolAnswer is what the collector answers with status 200. Other answers are a text for people.
type EnrolAnswer struct {
	Config string `json:"config"`       // agent.toml without the keys that name files
	CA     string `json:"ca,omitempty"` // certificate (PEM) of the authority that signs the brokers' certificates
}

// MaxEnrolBytes bounds both.
const MaxEnrolBytes = 64 << 10

// Request is what to post with this token, in the name of a secret.
func (e Enrolment) Request(secret string) EnrolRequest {
	sum := sha256.Sum256([]byte(secret))
	return EnrolRequest{Address: e.Address.String(), Word: hex.EncodeToString(e.Word[:]), Secret: hex.EncodeToString(sum[:]), Mosquitto: MosquittoVerifier(secret)}
}

// Parse reads a request.
func (r EnrolRequest) Parse() (a Address, word [16]byte, secret [sha256.Size]byte, err error) {
	if a, err = ParseAddress(r.Address); err != nil {
		return a, word, secret, err
	}
	w, err1 := hex.DecodeString(r.Word)
	s, err2 := hex.DecodeString(r.Secret)
	if err1 != nil || err2 != nil || len(w) != len(word) || len(s) != len(secret) {
		return a, word, secret, errors.New("want word and secret_sha256 as 32 and 64 hex digits")
	}
	if r.Mosquitto != "" {
		err = CheckMosquittoVerifier(r.Mosquitto)
	}
	return a, [16]byte(w), [sha256.Size]byte(s), err
}
