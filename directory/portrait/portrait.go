// Package portrait makes a small square picture of a person's photograph, free
// of what the camera wrote into the file about place, time and itself.
//
// It must not know people, databases or transports. It decodes foreign bytes:
// their dimensions are looked at before anything is decoded.
package portrait

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	_ "image/png" // a format that is taken

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // a format that is taken

	"commsd/internal/errcode"
)

const (
	// Side is the width and height of the picture that Small returns.
	Side = 256
	// MaxBytes is the most that it has.
	MaxBytes = 32 << 10
	// maxPixels bounds what is decoded: the photograph of a telephone.
	maxPixels = 16 << 20
)

// Small returns the middle of a JPEG, PNG or WebP file as a JPEG of Side by
// Side pixels. Errors: errcode.Invalid for what is none, errcode.TooLarge for
// one of too many pixels.
func Small(file []byte) ([]byte, error) {
	dim, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil || dim.Width < 1 || dim.Height < 1 {
		return nil, errcode.New(errcode.Invalid, "this is no picture that can be read; send a JPEG, PNG or WebP file")
	}
	if int64(dim.Width)*int64(dim.Height) > maxPixels {
		return nil, errcode.New(errcode.TooLarge, "the picture has %d by %d pixels; make it smaller, 1000 by 1000 are plenty", dim.Width, dim.Height)
	}
	src, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, errcode.New(errcode.Invalid, "the picture is damaged; save it anew and send that")
	}
	out := image.NewRGBA(image.Rect(0, 0, Side, Side))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src) // behind what is transparent
	draw.CatmullRom.Scale(out, out.Bounds(), src, middle(src.Bounds()), draw.Over, nil)
	if format == "jpeg" {
		out = turned(out, orientation(file))
	}
	for quality := 85; quality >= 25; quality -= 15 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, out, &jpeg.Options{Quality: quality}); err != nil {
			return nil, fmt.Errorf("portrait: %w", err)
		}
		if b.Len() <= MaxBytes {
			return b.Bytes(), nil
		}
	}
	return nil, errcode.New(errcode.Invalid, "this picture cannot be made small; choose another")
}

// middle is the largest square in the middle of r.
func middle(r image.Rectangle) image.Rectangle {
	side := min(r.Dx(), r.Dy())
	at := r.Min.Add(image.Pt((r.Dx()-side)/2, (r.Dy()-side)/2))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))}
}

// turned sets a picture upright. o is EXIF's word for how the camera was held
// (CIPA DC-008, table 6): 1 upright, 2 mirrored, 3 upside down, and so on.
func turned(src *image.RGBA, o int) *image.RGBA {
	if o < 2 || o > 8 {
		return src
	}
	out := image.NewRGBA(src.Bounds())
	const last = Side - 1
	for y := range Side {
		for x := range Side {
			fx, fy := x, y
			switch o {
			case 2:
				fx = last - x
			case 3:
				fx, fy = last-x, last-y
			case 4:
				fy = last - y
			case 5:
				fx, fy = y, x
			case 6:
				fx, fy = y, last-x
			case 7:
				fx, fy = last-y, last-x
			case 8:
				fx, fy = last-y, x
			}
			out.SetRGBA(x, y, src.RGBAAt(fx, fy))
		}
	}
	return out
}

// orientation finds EXIF's word in a JPEG file; 1 where there is none.
func orientation(file []byte) int {
	for at := 2; at+4 <= len(file) && file[at] == 0xff; {
		marker, size := file[at+1], int(binary.BigEndian.Uint16(file[at+2:]))
		if marker == 0xda || size < 2 || at+2+size > len(file) {
			return 1 // the picture itself begins, or the file is damaged
		}
		if segment, ok := bytes.CutPrefix(file[at+4:at+2+size], []byte("Exif\x00\x00")); ok && marker == 0xe1 {
			return tiffOrientation(segment)
		}
		at += 2 + size
	}
	return 1
}

func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 1
	}
	fields := int64(order.Uint16(tiff[at:]))
	for i := range fields {
		field := at + 2 + 12*i
		if field+12 > int64(len(tiff)) {
			return 1
		}
		if order.Uint16(tiff[field:]) == 0x0112 {
			return int(order.Uint16(tiff[field+8:]))
		}
	}
	return 1
}
