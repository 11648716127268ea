//go:build unix

package influxd

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// org is the organisation of a 2.x that is ours.
const org = "village"

// setUp has a new 2.x make its first user, organisation and token, and reads the token of one that was set up before
// from its folder. The bucket that comes with it is called first, and nobody uses it.
func (s *Server) setUp(ctx context.Context) error {
	file := filepath.Join(s.Dir, "token")
	s.Org = org
	kept, err := os.ReadFile(file)
	if err == nil {
		s.Token = string(kept)
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	token := rand.Text()
	body, err := json.Marshal(map[string]any{"username": "admin", "password": rand.Text(), "org": org, "bucket": "first", "token": token})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/v2/setup", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("set it up: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		return fmt.Errorf("set it up: %s %s", res.Status, strings.TrimSpace(string(said)))
	}
	s.Token = token
	return os.WriteFile(file, []byte(token), 0o600)
}
