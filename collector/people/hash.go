package people

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// cost is what one argon2id takes. The first choice of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane. The choices of
// RFC 9106, section 4 (2 GiB, or 64 MiB and four lanes) would let a few tries take what the intake of 10,000 agents lives in.
type cost struct {
	kib    uint32
	passes uint32
	lanes  uint8
}

var usual = cost{kib: 19 << 10, passes: 2, lanes: 1}

// most bounds what a users file that was written elsewhere may ask for: the second choice of RFC 9106, with passes to spare.
var most = cost{kib: 64 << 10, passes: 10, lanes: 4}

// Sizes of RFC 9106, section 4: 128 bits of salt, 256 bits of tag.
const (
	saltBytes = 16
	tagBytes  = 32
)

// hash is a password as it is kept.
type hash struct {
	cost
	salt [saltBytes]byte
	tag  [tagBytes]byte
}

func (c cost) of(password string, salt [saltBytes]byte) hash {
	h := hash{cost: c, salt: salt}
	copy(h.tag[:], c.tagOf(password, string(salt[:]), tagBytes))
	return h
}

func (c cost) tagOf(password, salt string, bytes uint32) []byte {
	return argon2.IDKey([]byte(password), []byte(salt), c.passes, c.kib, c.lanes, bytes)
}

func newHash(c cost, password string) hash {
	var salt [saltBytes]byte
	_, _ = rand.Read(salt[:]) // never fails, by its documentation
	return c.of(password, salt)
}

// is tells whether it is the hash of that password, in a time that does not depend on where they differ.
func (h hash) is(password string) bool {
	got := h.of(password, h.salt)
	return subtle.ConstantTimeCompare(got.tag[:], h.tag[:]) == 1
}

// String is the PHC string format, as the argon2 program writes it.
func (h hash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.kib, h.passes, h.lanes, b64(h.salt[:]), b64(h.tag[:]))
}

var errHash = errors.New("is no argon2id hash of ours; \"nabz-collector user password NAME\" writes one")

// parseHash takes what String writes, letter for letter, within the bounds of most.
func parseHash(text string) (hash, error) {
	var h hash
	parts := strings.Split(text, "$")
	if len(parts) != 6 {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.kib, &h.passes, &h.lanes); err != nil {
		return h, errHash
	}
	for i, to := range [][]byte{h.salt[:], h.tag[:]} {
		b, err := base64.RawStdEncoding.Strict().DecodeString(parts[4+i])
		if err != nil || len(b) != len(to) {
			return hash{}, errHash
		}
		copy(to, b)
	}
	if h.String() != text {
		return hash{}, errHash
	}
	if h.passes < 1 || h.passes > most.passes || h.lanes < 1 || h.lanes > most.lanes || h.kib < 8*uint32(h.lanes) || h.kib > most.kib {
		return hash{}, fmt.Errorf("asks for m=%d,t=%d,p=%d; at most m=%d,t=%d,p=%d are allowed", h.kib, h.passes, h.lanes, most.kib, most.passes, most.lanes)
	}
	return h, nil
}
