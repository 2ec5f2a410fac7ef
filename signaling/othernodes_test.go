package signaling

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhoLivesIsRemembered for a moment, that a node does not for a shorter
// one: it may have got its lease just now, and clients take a no as final.
func TestWhoLivesIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o otherNodes
		var fails error
		living, asked := map[string]string{"old": "10.0.0.5:8082"}, 0
		find := func(node string, lives bool, questions int) {
			t.Helper()
			_, got, err := o.address(t.Context(), func(context.Context) (map[string]string, error) {
				asked++
				return maps.Clone(living), fails
			}, node)
			if got != lives || asked != questions || !errors.Is(err, fails) {
				t.Errorf("%s lives: %v, want %v; asked %d times, want %d; %v", node, got, lives, asked, questions, err)
			}
		}
		find("old", true, 1)
		find("new", false, 1)
		living["new"] = "10.0.0.6:8082"
		<-time.After(missingFor / 2)
		find("new", false, 1) // however often clients ask
		<-time.After(missingFor)
		find("new", true, 2)
		<-time.After(othersFor / 2)
		find("old", true, 2)
		<-time.After(othersFor)
		find("old", true, 3)
		// A database that does not answer is not asked more often for that.
		living, fails = nil, errors.New("no database")
		<-time.After(2 * othersFor)
		find("old", false, 4)
		<-time.After(othersFor / 2)
		find("old", false, 4)
	})
}
