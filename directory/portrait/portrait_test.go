package portrait_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"commsd/directory/portrait"
	"commsd/internal/errcode"
)

// scene is red on the left, blue on the right, with a green top.
func scene(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{200, 0, 0, 255}
			if x >= w/2 {
				c = color.RGBA{0, 0, 200, 255}
			}
			if y < h/4 {
				c = color.RGBA{0, 200, 0, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withExif puts an EXIF segment with the orientation and a place behind the
// start of a JPEG file.
func withExif(file []byte, orientation uint16) []byte {
	tiff := []byte("II*\x00\x08\x00\x00\x00")
	tiff = binary.LittleEndian.AppendUint16(tiff, 1)
	tiff = binary.LittleEndian.AppendUint16(tiff, 0x0112)
	tiff = binary.LittleEndian.AppendUint16(tiff, 3)
	tiff = binary.LittleEndian.AppendUint32(tiff, 1)
	tiff = binary.LittleEndian.AppendUint16(tiff, orientation)
	tiff = append(tiff, "\x00\x00\x00\x00\x00\x00 at home, 21.0285 N 105.8542 E"...)
	segment := append([]byte("Exif\x00\x00"), tiff...)
	out := []byte{0xff, 0xd8, 0xff, 0xe1}
	out = binary.BigEndian.AppendUint16(out, uint16(len(segment)+2))
	out = append(out, segment...)
	return append(out, file[2:]...)
}

func small(t *testing.T, file []byte) image.Image {
	t.Helper()
	out, err := portrait.Small(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) > portrait.MaxBytes {
		t.Errorf("%d bytes", len(out))
	}
	m, format, err := image.Decode(bytes.NewReader(out))
	if err != nil || format != "jpeg" || m.Bounds() != image.Rect(0, 0, portrait.Side, portrait.Side) {
		t.Fatalf("made %s of %v: %v", format, m.Bounds(), err)
	}
	return m
}

// is tells which of the scene's colours is at a point.
func is(m image.Image, x, y int) string {
	r, g, b, _ := m.At(x, y).RGBA()
	switch {
	case g > r && g > b:
		return "green"
	case b > r:
		return "blue"
	default:
		return "red"
	}
}

func TestSmallTakesTheMiddle(t *testing.T) {
	for name, m := range map[string]image.Image{"wide": scene(900, 300), "high": scene(300, 900), "small": scene(64, 64)} {
		got := small(t, jpegOf(t, m))
		if left, right := is(got, 20, 200), is(got, 236, 200); left != "red" || right != "blue" {
			t.Errorf("%s: %s on the left, %s on the right", name, left, right)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, scene(400, 400)); err != nil {
		t.Fatal(err)
	}
	if got := small(t, b.Bytes()); is(got, 128, 10) != "green" {
		t.Error("a PNG is upside down")
	}
}

// A photograph that was taken with the telephone on its side stands upright,
// and says no more where it was taken.
func TestSmallTurnsAndForgets(t *testing.T) {
	for o, top := range map[uint16]image.Point{1: {128, 10}, 3: {128, 245}, 6: {245, 128}, 8: {10, 128}, 2: {128, 10}, 4: {128, 245}, 5: {10, 128}, 7: {245, 128}, 99: {128, 10}} {
		file := withExif(jpegOf(t, scene(600, 600)), o)
		got := small(t, file)
		if c := is(got, top.X, top.Y); c != "green" {
			t.Errorf("orientation %d: %s where the top is", o, c)
		}
		out, _ := portrait.Small(file)
		if bytes.Contains(out, []byte("at home")) || bytes.Contains(out, []byte("Exif")) {
			t.Errorf("orientation %d: the place is still in the file", o)
		}
	}
}

func TestSmallRefuses(t *testing.T) {
	// A header that promises far more than the file holds.
	bomb := jpegOf(t, scene(64, 64))
	i := bytes.Index(bomb, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(bomb[i+5:], 60000)
	binary.BigEndian.PutUint16(bomb[i+7:], 60000)
	for _, c := range []struct {
		name string
		file []byte
		want errcode.Code
	}{
		{"nothing", nil, errcode.Invalid},
		{"text", []byte("<svg onload=alert(1)>"), errcode.Invalid},
		{"a GIF", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), errcode.Invalid},
		{"half a file", jpegOf(t, scene(300, 300))[:400], errcode.Invalid},
		{"a bomb", bomb, errcode.TooLarge},
	} {
		if _, err := portrait.Small(c.file); errcode.Of(err) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzSmall(f *testing.F) {
	f.Add(jpegOf(f, scene(8, 8)))
	f.Add(withExif(jpegOf(f, scene(8, 8)), 6))
	f.Add([]byte("RIFF\x00\x00\x00\x00WEBPVP8 "))
	f.Fuzz(func(t *testing.T, file []byte) {
		out, err := portrait.Small(file)
		if err == nil && len(out) > portrait.MaxBytes {
			t.Errorf("%d bytes", len(out))
		}
	})
}
