using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// One sequence of a packed batch: its rows, and what it keeps of the past. Key slots count from the beginning of the sequence:
/// slots [PastStart, PastStart + PastCount) lie in the ring buffers, the current rows are the slots after them.
/// </summary>
/// <param name="FirstRow">First of its rows in the packed batch.</param>
/// <param name="RowCount">Number of its rows.</param>
/// <param name="PastKeys">[capacity, K, H] f32 or bf16, slot s in row s mod capacity; default where there is no past. With pages: the pool they lie in. One format in a batch.</param>
/// <param name="PastValues">Like <paramref name="PastKeys"/>.</param>
/// <param name="PastStart">Oldest slot still held.</param>
/// <param name="PastCount">Slots held, at most the capacity.</param>
/// <param name="Pages">
/// [pages] i32, or default: the ring's rows then lie in pages of <see cref="PageRows"/>, row r in row r mod 16 of page Pages[r / 16] of the pool.
/// </param>
public readonly record struct AttentionSequence(
    int FirstRow, int RowCount, TensorView PastKeys = default, TensorView PastValues = default, int PastStart = 0, int PastCount = 0,
    TensorView Pages = default)
{
    /// <summary>Rows of a page.</summary>
    public const int PageRows = 16;

    /// <summary>Slots that the ring can hold.</summary>
    public int Capacity => Pages.IsEmpty ? (PastKeys.IsEmpty ? 0 : PastKeys.Shape[0]) : checked((int)Pages.Shape.ElementCount * PageRows);

    /// <summary>True when the past is bf16.</summary>
    public bool IsNarrow => !PastKeys.IsEmpty && PastKeys.DType == DType.BF16;

    /// <summary>Slot of the first current row.</summary>
    public int FirstSlot => PastStart + PastCount;
}
