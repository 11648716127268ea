package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/smartvillage/nabz/dashboards"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument: the folder to write to")
	}
	for _, d := range dashboards.All("") {
		text, err := d.JSON()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(args[0], d.File()), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
