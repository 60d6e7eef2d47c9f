using System.Buffers.Binary;
using System.Text;
using CsCheck;
using GemmaCore.Tensors;
using GemmaCore.Testing.Fuzz;

namespace GemmaCore.Checkpoints.Tests;

public sealed class SafetensorsHeaderTests
{
    [Fact]
    public void Reads_names_types_sizes_and_offsets()
    {
        SafetensorsHeader header = Parse("""{"__metadata__":{"format":"pt"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"v":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  """, 16);
        Assert.Equal("pt", header.Metadata["format"]);
        StoredTensor w = header.Tensors["w"];
        Assert.Equal((DType.BF16, "[2, 3]", 6L, 4L, 16L), (w.DType, w.ShapeText, w.ElementCount, w.Begin, w.End));
        Assert.Equal(1, header.Tensors["v"].ElementCount);
    }

    [Theory]
    [InlineData("[]", 0, "not a JSON object")]
    [InlineData("{\"w\":", 0, "not valid JSON")]
    [InlineData("{} x", 0, "not valid JSON")]
    [InlineData("{\"w\":3}", 0, "'w' needs dtype, shape and data_offsets")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "'w' needs dtype, shape and data_offsets")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "'w': data_offsets must be")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "'w': data_offsets must be")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "got -4")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "got -1")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "got 1.5")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}}", 4, "got 99999999999999999999")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "'w': F32[2] takes 8 bytes, but its offsets cover 4")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4, "absurdly large")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "17 numbers are too many")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "'w' ends at byte 8, but the file holds 7")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "1 bytes after the last tensor")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}", 5, "1 bytes before tensor 'w'")]
    [InlineData("{\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", 6, "'w' overlaps")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "'w'")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "'dtype'")]
    [InlineData("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__.a is not a string")]
    public void Refuses_what_does_not_add_up(string json, long dataBytes, string reason)
    {
        var error = Assert.Throws<CheckpointException>(() => Parse(json, dataBytes));
        Assert.StartsWith("file.safetensors: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(7, 100UL, "too few")]
    [InlineData(1000, 993UL, "truncated or no safetensors file")]
    [InlineData(1000, ulong.MaxValue, "at most 100000000")]
    [InlineData(long.MaxValue, 100_000_001UL, "at most 100000000")]
    public void Refuses_a_length_that_the_file_cannot_hold(long fileLength, ulong claimed, string reason)
    {
        byte[] first = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(first, claimed);
        var error = Assert.Throws<CheckpointException>(() => SafetensorsHeader.HeaderLength(first, fileLength, "f"));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Messages_stay_one_bearable_line_whatever_the_names_hold()
    {
        string name = "a\\nb" + new string('x', 100_000);
        var error = Assert.Throws<CheckpointException>(() => Parse($$$"""{"{{{name}}}":0}""", 0));
        Assert.DoesNotContain('\n', error.Message);
        Assert.True(error.Message.Length < 2100);
    }

    [Fact]
    public void Any_tiling_of_the_data_is_read_back() =>
        Gen.Select(Gen.Int[0, 40].List[0, 12], Gen.Bool).Sample((sizes, reversed) =>
        {
            var text = new StringBuilder("{");
            long position = 0;
            var entries = new List<string>();
            for (int i = 0; i < sizes.Count; position += sizes[i++])
                entries.Add($"\"t{i}\":{{\"dtype\":\"U8\",\"shape\":[{sizes[i]}],\"data_offsets\":[{position},{position + sizes[i]}]}}");
            if (reversed) entries.Reverse();
            SafetensorsHeader header = Parse(text.AppendJoin(',', entries).Append('}').ToString(), position);
            return header.Tensors.Count == sizes.Count && Enumerable.Range(0, sizes.Count).All(i => header.Tensors[$"t{i}"].ElementCount == sizes[i]);
        });

    [Fact]
    public void Damaged_headers_are_refused_and_nothing_else_happens()
    {
        FuzzCount count = SafetensorsFuzz.Run(20_000, seed: 1);
        Assert.Equal(20_000, count.Inputs);
        Assert.InRange(count.Accepted, 100, 19_000);
    }

    private static SafetensorsHeader Parse(string json, long dataBytes)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(json);
        return SafetensorsHeader.Parse(bytes, 8 + bytes.Length + dataBytes, "file.safetensors");
    }
}
