package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/depot"
)

// tellHelp says what to send along with a token: where the steps are to be read, and by which sum a fetched package is known to be ours. Whoever
// fetches it has no authority to trust yet, so the sum has to come the way that the token comes.
func tellHelp(c collector.Config, w io.Writer) error {
	url := collector.HelpURL(c)
	if url == "" {
		return nil
	}
	if _, err := fmt.Fprintf(w, "the steps, to be read on a phone: %s\n", url); err != nil {
		return err
	}
	d, err := depot.Open(collector.Packages(c), depot.Pages{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	items, err := d.Items()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // none are given away
	case err != nil:
		_, err = fmt.Fprintf(w, "the packages in %s cannot be read: %v\n", collector.Packages(c), err)
		return err
	}
	said := false
	for _, i := range items {
		if i.Err != nil {
			fmt.Fprintf(w, "%s %v and is not given away; put it there anew\n", i.Name, i.Err)
			continue
		}
		if !strings.HasPrefix(i.Name, "nabz-agent_") || strings.HasSuffix(i.Name, ".json") {
			continue
		}
		if !said {
			fmt.Fprintf(w, "packages: %s; send along the SHA-256 of the one that the router takes:\n", collector.PackagesURL(c))
			said = true
		}
		if _, err := fmt.Fprintf(w, "%s  %s\n", i.SHA256, i.Name); err != nil {
			return err
		}
	}
	return nil
}
