using System.Security.Cryptography;
using System.Text;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>
/// The check that a file's entity tag promises: SHA-256 of the content for large files (64 digits), git's blob id for the others
/// (40 digits: SHA-1 over <c>"blob SIZE\0"</c> and the content).
/// </summary>
internal sealed class HubChecksum : IDisposable
{
    private const int Sha256Digits = 64, GitDigits = 40;

    private readonly HubFile _file;
    private readonly IncrementalHash _hash;

    public HubChecksum(HubFile file)
    {
        _file = file;
        // SHA-1 is git's choice for small files; it is here against broken transfers, not against forgery.
        _hash = IncrementalHash.CreateHash(file.ETag.Length == Sha256Digits ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        Restart();
    }

    /// <summary>True when a tag is one of the two kinds of checksum; it is then also safe as a file name.</summary>
    public static bool IsChecksum(string? etag) =>
        etag is { Length: Sha256Digits or GitDigits } && etag.All(char.IsAsciiHexDigitLower);

    public void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>Appends what a stream holds from its position on.</summary>
    public async Task AppendAsync(Stream stream, CancellationToken cancellation)
    {
        byte[] block = new byte[1 << 20];
        int count;
        while ((count = await stream.ReadAsync(block, cancellation).ConfigureAwait(false)) > 0) Append(block.AsSpan(0, count));
    }

    /// <summary>Forgets what was appended.</summary>
    public void Restart()
    {
        _hash.GetHashAndReset();
        if (_file.ETag.Length == GitDigits) _hash.AppendData(Encoding.ASCII.GetBytes($"blob {_file.Size}\0"));
    }

    /// <summary>Null when the bytes appended are the promised ones, else the checksum they have.</summary>
    public string? Mismatch()
    {
        string actual = Convert.ToHexStringLower(_hash.GetCurrentHash());
        return actual == _file.ETag ? null : actual;
    }

    public void Dispose() => _hash.Dispose();
}
