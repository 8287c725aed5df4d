package intake

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Two bytes of a profile can become hundreds once they are decoded: an empty sample is a struct, a pointer and a share of
// a slice that grows. So a profile is weighed on the wire first.

const mostDecoded = 32 << 20 // bytes that one profile may become

// What github.com/google/pprof makes of each message: its struct, its place in a slice that grows (three times a pointer)
// and in the tables by id, rounded up.
const (
	sampleWeight   = 200
	labelWeight    = 500 // three maps for a sample, and a slice for each label
	mappingWeight  = 300
	locationWeight = 250
	lineWeight     = 100
	functionWeight = 300
	stringWeight   = 96
	otherWeight    = 100
	numberWeight   = 24
)

// Numbers of the fields in profile.proto.
const (
	sampleField, mappingField, locationField, functionField, stringField = 2, 3, 4, 5, 6

	sampleLocations, sampleValues, sampleLabels = 1, 2, 3
	locationLines                               = 4
)

var errMalformed = errors.New("malformed")

// weigh is about how many bytes a profile becomes. What cannot be read here is refused: the decoder reads some of it.
func weigh(text []byte) (total int, err error) {
	err = fields(text, func(number protowire.Number, _ protowire.Type, value []byte) error {
		weight, err := otherWeight, error(nil)
		switch number {
		case sampleField:
			weight, err = weighSample(value)
		case mappingField:
			weight = mappingWeight
		case locationField:
			weight, err = weighLocation(value)
		case functionField:
			weight = functionWeight
		case stringField:
			weight = stringWeight + len(value)
		}
		if total += weight; total > mostDecoded {
			return fmt.Errorf("%w: it takes more than %d MB once it is decoded", ErrTooLarge, mostDecoded>>20)
		}
		return err
	})
	return total, err
}

func weighSample(text []byte) (int, error) {
	total := sampleWeight
	err := fields(text, func(number protowire.Number, kind protowire.Type, value []byte) error {
		switch {
		case number == sampleLabels:
			total += labelWeight
		case (number == sampleLocations || number == sampleValues) && kind == protowire.BytesType:
			total += numberWeight * numbers(value)
		default:
			total += numberWeight
		}
		return nil
	})
	return total, err
}

func weighLocation(text []byte) (int, error) {
	total := locationWeight
	err := fields(text, func(number protowire.Number, _ protowire.Type, _ []byte) error {
		if number == locationLines {
			total += lineWeight
		}
		return nil
	})
	return total, err
}

// numbers of a packed list: each ends with a byte below 0x80.
func numbers(packed []byte) (count int) {
	for _, one := range packed {
		if one < 0x80 {
			count++
		}
	}
	return count
}

// fields calls “each“ with the fields of a message.
func fields(text []byte, each func(protowire.Number, protowire.Type, []byte) error) error {
	for len(text) > 0 {
		number, kind, tag := protowire.ConsumeTag(text)
		if tag < 0 {
			return errMalformed
		}
		length := protowire.ConsumeFieldValue(number, kind, text[tag:])
		if length < 0 {
			return errMalformed
		}
		value := text[tag : tag+length]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		if err := each(number, kind, value); err != nil {
			return err
		}
		text = text[tag+length:]
	}
	return nil
}
