using System.Buffers.Binary;
using System.Text.Json;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>
/// The head of a safetensors file: eight bytes of little-endian length, JSON, then data. Every bound is checked here, against the length of
/// the whole file, before anyone touches the data (format: huggingface.co/docs/safetensors).
/// </summary>
public sealed class SafetensorsHeader
{
    /// <summary>The longest header the reference implementation accepts.</summary>
    public const long MaxHeaderBytes = 100_000_000;

    // Far above what any tensor has; views need four at most, but others are still listed.
    private const int MaxRank = 16;

    // A name given twice would let two readers see two different tensors.
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private SafetensorsHeader(IReadOnlyDictionary<string, StoredTensor> tensors, IReadOnlyDictionary<string, string> metadata, long dataStart)
    {
        Tensors = tensors;
        Metadata = metadata;
        DataStart = dataStart;
    }

    /// <summary>Tensors by stored name.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Tensors { get; }

    /// <summary>The <c>__metadata__</c> strings.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Where the data section begins in the file.</summary>
    public long DataStart { get; }

    /// <summary>The length a header announces, checked against the file's.</summary>
    /// <param name="firstBytes">The first eight bytes of the file (fewer only if the file is shorter).</param>
    /// <param name="fileLength">Length of the file.</param>
    /// <param name="file">Name for messages.</param>
    public static int HeaderLength(ReadOnlySpan<byte> firstBytes, long fileLength, string file)
    {
        if (fileLength < 8 || firstBytes.Length < 8) throw new CheckpointException($"{file}: {fileLength} bytes are too few for a safetensors file");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(firstBytes);
        if (length > MaxHeaderBytes) throw new CheckpointException($"{file}: the header claims {length} bytes; at most {MaxHeaderBytes} are accepted");
        if ((long)length > fileLength - 8)
            throw new CheckpointException($"{file}: the header claims {length} bytes, but the file has {fileLength}; it is truncated or no safetensors file");
        return (int)length;
    }

    /// <summary>Reads the JSON of a header.</summary>
    /// <param name="json">The header's bytes.</param>
    /// <param name="fileLength">Length of the whole file.</param>
    /// <param name="file">Name for messages.</param>
    /// <exception cref="CheckpointException">Anything about it does not add up.</exception>
    public static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long fileLength, string file)
    {
        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{file}: the header is not a JSON object");
            foreach (JsonProperty entry in document.RootElement.EnumerateObject())
            {
                if (entry.NameEquals("__metadata__")) ReadMetadata(entry.Value, metadata, file);
                else tensors.Add(entry.Name, ReadTensor(entry, file));
            }
        }
        catch (JsonException error)
        {
            throw new CheckpointException($"{file}: the header is not valid JSON: {error.Message}", error);
        }
        catch (InvalidOperationException error)
        {
            // System.Text.Json reports broken escape sequences in strings this way.
            throw new CheckpointException($"{file}: the header is not valid JSON: {error.Message}", error);
        }

        long dataStart = 8 + json.Length;
        CheckCoverage(tensors.Values, fileLength - dataStart, file);
        return new SafetensorsHeader(tensors, metadata, dataStart);
    }

    private static void ReadMetadata(JsonElement value, Dictionary<string, string> metadata, string file)
    {
        if (value.ValueKind == JsonValueKind.Null) return;
        if (value.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{file}: __metadata__ is not a JSON object");
        foreach (JsonProperty item in value.EnumerateObject())
        {
            if (item.Value.ValueKind != JsonValueKind.String) throw new CheckpointException($"{file}: __metadata__.{item.Name} is not a string");
            metadata[item.Name] = item.Value.GetString()!;
        }
    }

    private static StoredTensor ReadTensor(JsonProperty entry, string file)
    {
        string where = $"{file}: tensor '{entry.Name}'";
        JsonElement value = entry.Value;
        if (value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out JsonElement dtype) || dtype.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out JsonElement shape) || shape.ValueKind != JsonValueKind.Array
            || !value.TryGetProperty("data_offsets", out JsonElement offsets) || offsets.ValueKind != JsonValueKind.Array)
            throw new CheckpointException($"{where} needs dtype, shape and data_offsets");
        long[] sizes = ReadNumbers(shape, $"{where}: shape");
        long[] bounds = ReadNumbers(offsets, $"{where}: data_offsets");
        if (bounds.Length != 2 || bounds[0] > bounds[1]) throw new CheckpointException($"{where}: data_offsets must be [begin, end] with begin <= end");
        string type = dtype.GetString()!;
        var tensor = new StoredTensor(entry.Name, type, TypeOf(type), sizes, bounds[0], bounds[1]);
        CheckSize(tensor, where);
        return tensor;
    }

    private static long[] ReadNumbers(JsonElement list, string where)
    {
        if (list.GetArrayLength() > MaxRank) throw new CheckpointException($"{where}: {list.GetArrayLength()} numbers are too many");
        var numbers = new long[list.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out numbers[i]) || numbers[i] < 0)
                throw new CheckpointException($"{where}: expected whole numbers from 0, got {item.GetRawText()}");
            i++;
        }

        return numbers;
    }

    private static void CheckSize(StoredTensor tensor, string where)
    {
        UInt128 elements = 1;
        foreach (long size in tensor.Sizes)
        {
            elements *= (ulong)size;
            if (elements > long.MaxValue) throw new CheckpointException($"{where}: shape {tensor.ShapeText} is absurdly large");
        }

        if (tensor.DType is not { } dtype) return;
        UInt128 expected = elements * (ulong)dtype.Size();
        if (expected != (ulong)(tensor.End - tensor.Begin))
            throw new CheckpointException($"{where}: {tensor.StoredType}{tensor.ShapeText} takes {expected} bytes, but its offsets cover {tensor.End - tensor.Begin}");
    }

    // The format leaves no holes: sorted by offset, the tensors tile the data section exactly.
    private static void CheckCoverage(IEnumerable<StoredTensor> tensors, long dataBytes, string file)
    {
        long position = 0;
        foreach (StoredTensor tensor in tensors.OrderBy(t => t.Begin).ThenBy(t => t.End))
        {
            if (tensor.Begin < position) throw new CheckpointException($"{file}: tensor '{tensor.Name}' overlaps the one before it (byte {tensor.Begin} of the data)");
            if (tensor.Begin > position) throw new CheckpointException($"{file}: {tensor.Begin - position} bytes before tensor '{tensor.Name}' belong to no tensor");
            if (tensor.End > dataBytes)
                throw new CheckpointException($"{file}: tensor '{tensor.Name}' ends at byte {tensor.End}, but the file holds {dataBytes} bytes of data; it is truncated");
            position = tensor.End;
        }

        if (position != dataBytes) throw new CheckpointException($"{file}: {dataBytes - position} bytes after the last tensor belong to no tensor");
    }

    private static DType? TypeOf(string name) => name switch
    {
        "F32" => DType.F32,
        "F16" => DType.F16,
        "BF16" => DType.BF16,
        "I8" => DType.I8,
        "U8" => DType.U8,
        "I32" => DType.I32,
        "I64" => DType.I64,
        _ => null,
    };
}
