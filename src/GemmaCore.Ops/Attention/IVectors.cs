namespace GemmaCore.Ops;

/// <summary>Float arithmetic of one vector width, so that a kernel is written once and compiled for each.</summary>
internal unsafe interface IVectors<TVector> where TVector : struct
{
    /// <summary>Floats in one vector.</summary>
    static abstract int Count { get; }

    /// <summary>True with 32 vector registers: kernels may keep twice the accumulators.</summary>
    static abstract bool ManyRegisters { get; }

    static abstract TVector Load(float* source);

    static abstract void Store(TVector value, float* destination);

    static abstract TVector All(float value);

    static abstract TVector Add(TVector a, TVector b);

    static abstract TVector Subtract(TVector a, TVector b);

    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a·b + c with one rounding.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>The larger; where either is NaN, b.</summary>
    static abstract TVector Max(TVector a, TVector b);

    static abstract TVector Round(TVector value);

    /// <summary>value · 2^exponent for integral exponents whose result is a normal number.</summary>
    static abstract TVector ScaleByPowerOfTwo(TVector value, TVector exponent);

    /// <summary>Zero where <paramref name="tested"/> is below the limit, <paramref name="value"/> elsewhere.</summary>
    static abstract TVector ZeroWhereBelow(TVector tested, TVector limit, TVector value);
}
