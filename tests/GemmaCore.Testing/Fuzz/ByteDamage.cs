namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages binary files: bytes changed, lengths made absurd, pieces cut, doubled, moved; always the same for one seed.</summary>
public sealed class ByteDamage(int seed)
{
    private static readonly uint[] Lengths = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, uint.MaxValue, 0x0001_0000];

    private static readonly int[] InPlace = [0, 1, 5, 6];

    public Random Random { get; } = new(seed);

    /// <summary>A damaged copy.</summary>
    /// <param name="file">The file.</param>
    /// <param name="staysInPlace">Nothing is cut, doubled or moved, so that what points to a place still finds it.</param>
    public byte[] Damage(byte[] file, bool staysInPlace = false)
    {
        List<byte> bytes = [.. file];
        for (int count = Random.Next(1, 5); count > 0 && bytes.Count > 0; count--)
        {
            int at = Random.Next(bytes.Count), length = Random.Next(Math.Min(64, bytes.Count - at));
            switch (staysInPlace ? InPlace[Random.Next(InPlace.Length)] : Random.Next(7))
            {
                case 0: bytes[at] = (byte)Random.Next(256); break;
                case 1: bytes[at] ^= (byte)(1 << Random.Next(8)); break;
                case 2: bytes.RemoveRange(at, length); break;
                case 3: bytes.InsertRange(at, bytes.GetRange(Random.Next(bytes.Count - length), length)); break;
                case 4: bytes.RemoveRange(at, bytes.Count - at); break;
                case 5:
                    byte[] absurd = BitConverter.GetBytes(Lengths[Random.Next(Lengths.Length)]);
                    for (int i = 0; i < absurd.Length && at + i < bytes.Count; i++) bytes[at + i] = absurd[i];
                    break;
                default: bytes[at] = bytes[Random.Next(bytes.Count)]; break;
            }
        }

        return [.. bytes];
    }
}
