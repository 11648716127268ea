//go:build !linux

package load

import (
	"context"
	"errors"
)

func pour(context.Context, Plan, <-chan struct{}, *reporter) error {
	return errors.New("a pour needs Linux, for epoll")
}
