package errcode_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"commsd/internal/errcode"
)

func TestChain(t *testing.T) {
	cause := errors.New("connection reset")
	err := fmt.Errorf("chat: sending: %w", errcode.Wrap(cause, errcode.Unavailable, "try again"))
	if errcode.Of(err) != errcode.Unavailable || errcode.Message(err) != "try again" || !errors.Is(err, cause) {
		t.Fatalf("lost on the way: %v", err)
	}
	if !strings.Contains(err.Error(), "connection reset") {
		t.Fatal("the log would not see the cause")
	}
}

func TestUnclassifiedIsGeneric(t *testing.T) {
	for _, err := range []error{errors.New("secret detail"), errcode.New(errcode.Internal, "secret detail")} {
		if errcode.Of(err) != errcode.Internal || strings.Contains(errcode.Message(err), "secret") {
			t.Errorf("%v tells its cause", err)
		}
	}
}

func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range errcode.All() {
		if c.String() == "" || seen[c.String()] {
			t.Errorf("code %d has no name of its own", c)
		}
		seen[c.String()] = true
	}
	if errcode.Code(200).String() != "internal" {
		t.Error("an unknown code is not internal")
	}
}
