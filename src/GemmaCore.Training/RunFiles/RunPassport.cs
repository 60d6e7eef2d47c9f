using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Inputs;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.RunFiles;

/// <summary><c>run.json</c>: what somebody needs to know in order to repeat a run or to trust its adapter.</summary>
public sealed record RunPassport
{
    /// <summary>Name of the file.</summary>
    public const string Name = "run.json";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, IndentSize = 2, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The configuration as resolved: defaults filled in, standard spelling.</summary>
    public required TrainingConfiguration Configuration { get; init; }

    /// <summary>Hash of the base model, e.g. <c>sha256:9f86…</c>.</summary>
    public required string BaseModelHash { get; init; }

    /// <summary>Hash of the training rows; see <see cref="HashOf"/>.</summary>
    public required string DataHash { get; init; }

    /// <summary>Version of this code.</summary>
    public required string CodeVersion { get; init; }

    /// <summary>Device the run used.</summary>
    public required string Device { get; init; }

    /// <summary>Arithmetic, e.g. <c>fp32</c>.</summary>
    public required string PrecisionPath { get; init; }

    /// <summary>Optimiser steps done.</summary>
    public int Steps { get; init; }

    /// <summary>Training rows.</summary>
    public int Rows { get; init; }

    /// <summary>Rows left out as unreadable.</summary>
    public int SkippedRows { get; init; }

    /// <summary>Training tokens seen.</summary>
    public long Tokens { get; init; }

    /// <summary>Wall time of this process's part of the run, in seconds.</summary>
    public double Seconds { get; init; }

    /// <summary>Peak memory as planned before the run, in bytes; null when nothing was planned.</summary>
    public long? PeakMemoryPlannedBytes { get; init; }

    /// <summary>Peak memory of the device during the run, in bytes.</summary>
    public long PeakMemoryMeasuredBytes { get; init; }

    /// <summary>
    /// SHA-256 over the rows in order: data set, every message, the answer; of a picture its file name and length, or its bytes when the row carries
    /// them. Where the folder lies does not matter.
    /// </summary>
    public static string HashOf(IEnumerable<TrainingExample> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (TrainingExample row in rows)
        {
            Append(hash, row.Dataset);
            foreach (ChatMessage message in row.Prompt)
            {
                Append(hash, message.Role.ToString());
                foreach (ContentPart part in message.Content) Append(hash, Describe(part));
            }

            Append(hash, row.Answer ?? "");
        }

        return "sha256:" + Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Writes the passport into a run's folder.</summary>
    public void Write(string runFolder)
    {
        var root = new JsonObject
        {
            ["base_model"] = Configuration.ModelNameOrPath,
            ["base_model_hash"] = BaseModelHash,
            ["code_version"] = CodeVersion,
            ["configuration"] = ConfigurationWriter.ToJson(Configuration),
            ["data_hash"] = DataHash,
            ["device"] = Device,
            ["peak_memory_measured_bytes"] = PeakMemoryMeasuredBytes,
            ["peak_memory_planned_bytes"] = PeakMemoryPlannedBytes,
            ["precision_path"] = PrecisionPath,
            ["rows"] = Rows,
            ["seconds"] = Math.Round(Seconds, 3),
            ["skipped_rows"] = SkippedRows,
            ["steps"] = Steps,
            ["tokens"] = Tokens,
        };
        AtomicFile.WriteAllText(Path.Combine(runFolder, Name), root.ToJsonString(Indented) + "\n");
    }

    private static string Describe(ContentPart part) => part switch
    {
        TextPart text => "text " + text.Text,
        ImagePart { Image: { Path: { } path } image } => FormattableString.Invariant($"image {Path.GetFileName(path)} {(File.Exists(path) ? new FileInfo(path).Length : 0)}{image.Choice}"),
        ImagePart { Image: { Bytes: { } bytes } image } => "image " + Convert.ToHexStringLower(SHA256.HashData(bytes.Span)) + image.Choice,
        _ => throw new ArgumentException($"{part} cannot be hashed", nameof(part)),
    };

    // The length stands before the text: "ab" + "c" and "a" + "bc" are different rows.
    private static void Append(IncrementalHash hash, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        hash.AppendData(BitConverter.GetBytes(bytes.Length));
        hash.AppendData(bytes);
    }
}
