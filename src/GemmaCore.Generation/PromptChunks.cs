using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;

namespace GemmaCore.Generation;

/// <summary>What stands in front of a cut, and for whom: equal only for the same tokens and pictures, adapter, tenant and salt.</summary>
/// <param name="Adapter">The adapter that computes.</param>
/// <param name="High">First half of a SHA-256.</param>
/// <param name="Low">Second half.</param>
internal readonly record struct PrefixKey(LoraAdapter? Adapter, UInt128 High, UInt128 Low);

/// <summary>
/// Where a prompt is cut into parts that go in together. Cuts depend on the prompt alone, and those of two prompts that begin alike are alike up to where they
/// differ (but for the last, which is left out when only a few tokens follow).
/// </summary>
internal sealed class PromptChunks
{
    /// <summary>Tokens of a prompt that go in together, if no picture spans the end.</summary>
    public const int Tokens = 512;

    private readonly List<int> _ends = [];
    private readonly List<PrefixKey> _keys = [];

    private PromptChunks()
    {
    }

    /// <summary>Cuts a prompt behind every picture, so that other questions about it find it, and every <see cref="Tokens"/> tokens.</summary>
    /// <param name="request">Whose prompt it is.</param>
    /// <param name="imageTokenId">Id of the tokens that stand for pictures; a picture, whose tokens see each other both ways, is never cut.</param>
    public static PromptChunks Of(GenerationRequest request, int imageTokenId)
    {
        var chunks = new PromptChunks();
        chunks.Cut(request.Prompt.Ids, imageTokenId);
        // Several answers to one prompt are scored together: they share all of it but the token that gives logits. One alone is cut as well, or its last bits
        // would say that it was alone.
        int last = request.Prompt.Ids.Length - 1;
        if (request.Scoring is not null && last > 0 && (chunks._ends.Count < 2 || chunks._ends[^2] < last)) chunks._ends.Insert(chunks._ends.Count - 1, last);
        return chunks;
    }

    /// <summary>The same, and what stands in front of each cut. Hashes the pictures, which takes milliseconds each: not for the thread that computes.</summary>
    public static PromptChunks WithKeys(GenerationRequest request, int imageTokenId)
    {
        PromptChunks chunks = Of(request, imageTokenId);
        chunks.FindKeys(request);
        return chunks;
    }

    /// <summary>Where the chunk ends that begins at <paramref name="start"/>.</summary>
    public int EndFrom(int start) => _ends[IndexFrom(start)];

    /// <summary>What stands in front of the end of the chunk that begins at <paramref name="start"/>; null for the last one, behind which nothing of the prompt is left.</summary>
    public PrefixKey? KeyFrom(int start) => IndexFrom(start) is var i && i < _keys.Count ? _keys[i] : null;

    /// <summary>What stands in front of the chunk that begins at <paramref name="start"/>; null for the first.</summary>
    public PrefixKey? KeyBefore(int start) => IndexFrom(start) is var i && i > 0 && i <= _keys.Count ? _keys[i - 1] : null;

    /// <summary>What stands in front of the cuts, all but the last.</summary>
    public IReadOnlyList<PrefixKey> Keys => _keys;

    /// <summary>Forgets what stands in front of a cut from the first on that is not in <paramref name="shared"/>: nothing will be kept of it.</summary>
    public void KeepKeys(Predicate<PrefixKey> shared)
    {
        int kept = _keys.FindIndex(key => !shared(key));
        if (kept >= 0) _keys.RemoveRange(kept, _keys.Count - kept);
    }

    private int IndexFrom(int start)
    {
        int at = _ends.BinarySearch(start + 1);
        return at < 0 ? ~at : at;
    }

    private void Cut(int[] ids, int imageTokenId)
    {
        for (int start = 0; start < ids.Length;)
        {
            int end = Math.Min(ids.Length, start + Tokens);
            end = Math.Min(end, EndOfPicture(ids, imageTokenId, start));
            while (end < ids.Length && ids[end] == imageTokenId && ids[end - 1] == imageTokenId) end++;
            if (ids.Length - end <= BatchScheduler.FewRows) end = ids.Length; // no tail of a few tokens
            _ends.Add(end);
            start = end;
        }
    }

    // Behind the first run of image tokens, or the end.
    private static int EndOfPicture(int[] ids, int imageTokenId, int start)
    {
        int first = Array.IndexOf(ids, imageTokenId, start);
        if (first < 0) return ids.Length;
        while (first < ids.Length && ids[first] == imageTokenId) first++;
        return first;
    }

    // A chain: each hash covers the one before, the tokens of its chunk and the pictures that begin there.
    private void FindKeys(GenerationRequest request)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        foreach (string name in (ReadOnlySpan<string>)[request.Tenant, request.CacheSalt])
        {
            byte[] bytes = Encoding.UTF8.GetBytes(name);
            AppendCount(hash, bytes.Length);
            hash.AppendData(bytes);
        }

        int start = 0, picture = 0;
        Prompt prompt = request.Prompt;
        foreach (int end in _ends)
        {
            if (end == prompt.Ids.Length) break;
            AppendCount(hash, end - start);
            hash.AppendData(MemoryMarshal.AsBytes(prompt.Ids.AsSpan(start..end)));
            for (; picture < prompt.Images.Count && prompt.ImageSpans[picture].Start < end; picture++) hash.AppendData(prompt.Images[picture].Digest);
            hash.GetHashAndReset(digest);
            _keys.Add(new PrefixKey(request.Adapter, BinaryPrimitives.ReadUInt128LittleEndian(digest), BinaryPrimitives.ReadUInt128LittleEndian(digest[16..])));
            hash.AppendData(digest);
            start = end;
        }
    }

    private static void AppendCount(IncrementalHash hash, int count) => hash.AppendData(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in count)));
}
