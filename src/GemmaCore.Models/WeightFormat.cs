namespace GemmaCore.Models;

/// <summary>In what form the weights of linear layers are held.</summary>
public enum WeightFormat
{
    /// <summary>As the checkpoint has them.</summary>
    AsStored,

    /// <summary>NF4 in blocks of 64 with double-quantised magnitudes.</summary>
    Nf4,

    /// <summary>NF4 in blocks of 64 with magnitudes in fp32.</summary>
    Nf4Plain,

    /// <summary>Signed 8-bit rows.</summary>
    Int8,

    /// <summary>Signed 8-bit codes with an fp16 scale for every 128 inputs.</summary>
    Int8Group,
}
