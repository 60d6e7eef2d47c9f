using System.Runtime.InteropServices;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>
/// The most likely tokens of some rows of logits, brought to the host: a few bytes per row where a whole row of Gemma's takes a mebibyte.
/// The memory is reused from pass to pass.
/// </summary>
internal sealed class TokenCandidates
{
    private int[] _ids = [];
    private float[] _logits = [], _logprobs = [];
    private int _count;

    /// <summary>Finds the <paramref name="count"/> most likely tokens of every row.</summary>
    /// <param name="logits">[R, V].</param>
    /// <param name="count">k, at most V and <see cref="TopK.MaxCount"/>.</param>
    /// <param name="logprobs">Whether log-probabilities are wanted as well.</param>
    /// <param name="arena">Scratch.</param>
    public void Read(TensorView logits, int count, bool logprobs, Arena arena)
    {
        var shape = new Shape(logits.Shape[0], count);
        int total = checked((int)shape.ElementCount);
        if (_ids.Length < total) (_ids, _logits, _logprobs) = (new int[total], new float[total], new float[total]);
        _count = count;
        TensorView ids = arena.Take(shape, DType.I32);
        // The most likely token alone is chosen by being first; its logit tells nothing more.
        TensorView values = count > 1 ? arena.Take(shape) : default, logs = logprobs ? arena.Take(shape) : default;
        TopK.Forward(logits, ids, values, logs);
        logits.Device.CopyToHost(ids, MemoryMarshal.AsBytes(_ids.AsSpan(0, total)));
        if (!values.IsEmpty) logits.Device.CopyToHost(values, MemoryMarshal.AsBytes(_logits.AsSpan(0, total)));
        if (!logs.IsEmpty) logits.Device.CopyToHost(logs, MemoryMarshal.AsBytes(_logprobs.AsSpan(0, total)));
    }

    /// <summary>Ids of a row, most likely first, lower ids first among equals; all −1 where the row's logits are not finite.</summary>
    public ReadOnlySpan<int> Ids(int row) => _ids.AsSpan(row * _count, _count);

    /// <summary>Their logits; meaningless for a count of 1.</summary>
    public ReadOnlySpan<float> Logits(int row) => _logits.AsSpan(row * _count, _count);

    /// <summary>Their log-probabilities in the whole row, where they were asked for.</summary>
    public ReadOnlySpan<float> Logprobs(int row) => _logprobs.AsSpan(row * _count, _count);
}
