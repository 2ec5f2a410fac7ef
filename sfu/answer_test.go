package sfu

import (
	"errors"
	"testing"
)

// A room that is asked to end answers and ends at once: who asked hears the
// answer, whichever it sees first.
func TestAnEndedRoomHasAnswered(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	for range 64 {
		done := make(chan result[int], 1)
		done <- result[int]{7, nil}
		if got, err := answerOf(t.Context(), done, ended); got != 7 || err != nil {
			t.Fatalf("%d, %v", got, err)
		}
	}
	if _, err := answerOf(t.Context(), make(chan result[int]), ended); !errors.Is(err, errClosing) {
		t.Errorf("of a room that failed: %v", err)
	}
}
