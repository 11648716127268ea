//go:build !linux

package sampler

import "errors"

// Stations counts the stations associated with this machine's access points; only Linux tells.
func Stations() (int64, error) { return 0, errors.ErrUnsupported }
