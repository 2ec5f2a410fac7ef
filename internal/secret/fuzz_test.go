package secret

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// FuzzParseKey: whatever lies in the file, parse takes only the one form that
// makeKeyFile writes.
func FuzzParseKey(f *testing.F) {
	f.Add(keyPrefix + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n")
	f.Add(keyPrefix)
	f.Add("-----BEGIN PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, text string) {
		var k Key
		if k.parse(text) == nil && !bytes.Contains([]byte(text), []byte(keyPrefix+base64.StdEncoding.EncodeToString(k.bytes[:]))) {
			t.Errorf("took %q", text)
		}
	})
}

// FuzzOpen: bytes from the database never open unless this key sealed them.
func FuzzOpen(f *testing.F) {
	k := &Key{}
	good, err := k.seal("name", []byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if value, err := k.open("name", sealed); err == nil && !bytes.Equal(sealed, good) {
			t.Errorf("opened %x as %q", sealed, value)
		}
	})
}
